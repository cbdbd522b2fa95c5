"""What the macros and environments of LaTeX are called, and what they stand for."""

from qwenchat.tui.markdown.formula_layout import literal

ARGUMENTS = {
    "frac": "{{", "dfrac": "{{", "tfrac": "{{", "cfrac": "[{{", "binom": "{{", "dbinom": "{{", "tbinom": "{{",
    "sqrt": "[{", "boxed": "{", "fbox": "{", "pmod": "{", "bmod": "", "mod": "", "operatorname": "*{", "tag": "*{",
    "label": "{", "overset": "{{", "underset": "{{", "stackrel": "{{", "xrightarrow": "[{", "xleftarrow": "[{",
    "textcolor": "{{", "color": "{", "underbrace": "{", "overbrace": "{", "substack": "{", "not": "{", "ce": "{",
    "cancel": "{", "hspace": "*{", "vspace": "*{", "phantom": "{", "left": "{", "right": "{", "middle": "{",
}  # fmt: skip
"""The arguments of macros: { for one in braces, [ for one that may be left out, * for a star."""
ACCENTS = {
    "vec": "\u20d7", "overrightarrow": "\u20d7", "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304",
    "overline": "\u0305", "tilde": "\u0303", "widetilde": "\u0303", "dot": "\u0307", "ddot": "\u0308",
    "underline": "\u0332", "cancel": "\u0338", "not": "\u0338", "check": "\u030c", "breve": "\u0306",
}  # fmt: skip
"""The signs that stand above, below or through each character of an argument."""
WORDS = ("text", "textrm", "textbf", "textit", "texttt", "textsf", "textnormal", "mbox", "label", "tag")
"""Their argument is text, where spaces and signs stay as they are."""
UPRIGHT = (
    "mathrm", "mathbf", "mathit", "mathsf", "mathtt", "boldsymbol", "bm", "mathop", "mathbin", "mathrel", "mathord",
    "substack", "underbrace", "overbrace", "hbox",
)  # fmt: skip
"""Their argument is shown without more."""
STYLES = {"mathbb": "doublestruck", "mathcal": "script", "mathscr": "script", "mathfrak": "fraktur"}
"""Alphabets of their own."""
FUNCTIONS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd",
    "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "sec", "sin", "sinh",
    "sup", "tan", "tanh", "mod", "bmod",
})  # fmt: skip
"""Their name is shown."""
SILENT = frozenset({
    "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "bigm",
    "Bigm", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "nonumber", "notag", "label", "color",
    "hspace", "vspace", "phantom", "rm", "bf", "it", "!", "hline", "centering",
})  # fmt: skip
"""They are not shown."""
SYMBOLS = {
    "implies": "⟹", "impliedby": "⟸", "iff": "⟺", "to": "→", "gets": "←", "mid": "∣", "quad": literal("  "),
    "qquad": literal("    "), ",": " ", ";": " ", ":": " ", " ": " ", ">": " ", "dots": "…", "ldots": "…", "cdots": "⋯",
    "vdots": "⋮", "ddots": "⋱", "{": "{", "}": "}", "|": "‖", "lbrace": "{", "rbrace": "}", "vert": "|", "Vert": "‖",
    "lvert": "|", "rvert": "|", "lVert": "‖", "rVert": "‖", "$": "$", "%": "%", "&": literal("&"), "#": "#", "_": "_",
    "colon": ":", "\\": "; ", "prime": "′", "degree": "°", "ne": "≠", "neq": "≠", "le": "≤", "ge": "≥", "land": "∧",
    "lor": "∨", "lnot": "¬", "neg": "¬", "triangle": "△", "square": "□", "therefore": "∴", "because": "∵", "top": "⊤",
    "bot": "⊥", "ast": "*", "star": "⋆", "lt": "<", "gt": ">", "lbrack": "[", "rbrack": "]", "dagger": "†",
    "varnothing": "∅", "backslash": "∖", "euro": "€", "pounds": "£", "checkmark": "✓", "blacksquare": "■", "Box": "□",
}  # fmt: skip
"""Signs, where pylatexenc has none or another."""
FENCED = {
    "pmatrix": "()", "bmatrix": "[]", "vmatrix": "||", "Vmatrix": "‖‖", "Bmatrix": "{}", "cases": "{ ", "dcases": "{ ",
    "rcases": " }", "matrix": "  ", "smallmatrix": "  ", "array": "  ",
}  # fmt: skip
"""Environments of tables, with the brackets around them."""
ALIGNED = frozenset({
    "aligned", "align", "align*", "alignedat", "gathered", "gather", "gather*", "split", "equation", "equation*",
    "eqnarray", "eqnarray*", "multline", "multline*",
})  # fmt: skip
"""Environments of equations."""
