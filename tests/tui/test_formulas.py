r"""LaTeX formulas become text that a terminal can show, and what is none stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenchat.tui.markdown.formulas import display, inline
from qwenchat.tui.markdown.pieces import parser
from tests.support.chat_driver import chat
from tests.support.examples import examples
from tests.support.fake_engine import Script

FORMULAS = r"""
\frac{-b \pm \sqrt{b^2 - 4ac}}{2a} | (-b ± √(b² - 4ac))/(2a)
\frac12mv^2 | ½mv²
\dfrac{3}{7}x | 3/7 x
x_{n+1} = x_n - \frac{f(x_n)}{f'(x_n)} | xₙ₊₁ = xₙ - f(xₙ)/f′(xₙ)
\frac{\frac{1}{x}}{y+1} | (1/x)/(y + 1)
\frac{d}{dx} x^n = n x^{n-1} | d/dx xⁿ = n xⁿ⁻¹
\frac{\partial f}{\partial x} | ∂f/∂x
\sum_{i=1}^{n} i = \frac{n(n+1)}{2} | ∑ᵢ₌₁ⁿ i = n(n + 1)/2
\int_0^\infty e^{-x^2} \, dx = \frac{\sqrt{\pi}}{2} | ∫₀^∞ e^(-x²) dx = √π/2
\prod_{k=1}^{n} k = n! | ∏ₖ₌₁ⁿ k = n!
\lim_{x \to 0} \frac{\sin x}{x} = 1 | lim_(x → 0) (sin x)/x = 1
\log_2 8 = 3 | log₂ 8 = 3
\cos\theta + 2\sin^2\theta | cos θ + 2 sin² θ
\sqrt[3]{27} = 3, \sqrt{2}x | ∛27 = 3, √2 x
e^{i\pi} + 1 = 0 | e^(iπ) + 1 = 0
\alpha+\beta\cdot\gamma\leq\Omega | α + β · γ ≤ Ω
x'' + f''(x) | x″ + f″(x)
H_2O \rightarrow H^+ + OH^- | H₂O → H⁺ + OH⁻
\ce{2H2 + O2 -> 2H2O} | 2H₂ + O₂ → 2H₂O
5\times10^{-3} \approx 0.005 | 5 × 10⁻³ ≈ 0.005
9.81 \, \text{m/s}^2 | 9.81 m/s²
90^\circ | 90°
\text{Area} = \pi r^2 | Area = πr²
\text{if } x \geq 0 | if x ≥ 0
\vec{F} = m\vec{a} | F⃗ = ma⃗
\overline{AB} \perp \hat{y} | A̅B̅ ⊥ ŷ
|\mathbf{v}||\mathbf{w}| | |v||w|
\forall x \in \mathbb{R}, \exists y : y > x | ∀x ∈ ℝ, ∃y : y > x
A \cup B \subseteq C \setminus \emptyset | A ∪ B ⊆ C ∖ ∅
\left( \frac{1}{2} \right)^n | (½)ⁿ
\left\{ x \mid x>0 \right\} | {x ∣ x > 0}
\left. F \right|_a^b | F|ₐᵇ
\lfloor x \rfloor \neq \lceil x \rceil | ⌊x⌋ ≠ ⌈x⌉
\binom{n}{k} | C(n, k)
a \equiv b \pmod{n} | a ≡ b (mod n)
\operatorname{softmax}(z)_i | softmax(z)ᵢ
x_{\text{max}}^{(l)} | xₘₐₓ⁽ˡ⁾
\underbrace{1 + \cdots + 1}_{n \text{ times}} | 1 + ⋯ + 1_(n times)
100\% - 20% = 80\% | 100% - 20% = 80%
\$5 \div 2 \implies \$2.50 | $5 ÷ 2 ⟹ $2.50
\boxed{x = \frac{3}{4}} | ⟦ x = ¾ ⟧
\begin{pmatrix} a & b \\ c & d \end{pmatrix}^T | (a b; c d)ᵀ
\mathcal{L}\{f(t)\} | ℒ{f(t)}
\text{速度} = 5 | 速度 = 5
""".strip().splitlines()


@pytest.mark.parametrize("row", FORMULAS)
def test_a_formula_in_a_line(row: str) -> None:
    source, expected = row.rsplit(" | ", 1)
    assert inline(source) == expected


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (r"\begin{aligned} 2x + 3 &= 7 \\ x &= 2 \end{aligned}", ["2x + 3 = 7", "     x = 2"]),
        (r"\begin{bmatrix} 1 & 0 \\ 0 & 1 \\ 2 & 2 \end{bmatrix}", ["⎡ 1  0 ⎤", "⎢ 0  1 ⎥", "⎣ 2  2 ⎦"]),
        (
            r"A = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} \begin{pmatrix} x \\ y \end{pmatrix}",
            ["A = ⎛ 1  2 ⎞ ⎛ x ⎞", "    ⎝ 3  4 ⎠ ⎝ y ⎠"],
        ),
        (
            r"f(x) = \begin{cases} x^2 & \text{if } x \geq 0 \\ -x & \text{otherwise} \end{cases}",
            ["f(x) = ⎧ x²  if x ≥ 0", "       ⎩ -x  otherwise"],
        ),
        (r"\boxed{42}", ["┌────┐", "│ 42 │", "└────┘"]),
        ("a = b \\\\\nc = d", ["a = b", "c = d"]),
        (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}=ad-bc", ["│ a  b │ = ad - bc", "│ c  d │"]),
    ],
)
def test_a_formula_with_lines_of_its_own(source: str, lines: list[str]) -> None:
    assert (display(source) or "").splitlines() == lines


@pytest.mark.parametrize(
    "source",
    [r"\frac{a", r"\foo{x}", "x^", r"\begin{foo}x\end{foo}", r"\input{/etc/passwd}", "{" * 3000, "x" * 5000, " "],
)
def test_what_cannot_be_read_is_no_formula(source: str) -> None:
    assert inline(source) is None
    assert display(source) is None


@settings(max_examples=examples(300))
@given(st.text(st.sampled_from(r"\{}^_&$ ab12+-=()[]%~'" + "\ue100\ue101\ue21b\n"), max_size=40))
def test_nothing_breaks_it(source: str) -> None:
    for text in (inline(source), display(source)):
        assert text is None or text.replace("\n", "").isprintable() or max(text) > "\ue1ff"


def html(markdown: str) -> str:
    return parser().render(markdown).strip()


@pytest.mark.parametrize(
    "text",
    [
        "Costs $5 and $10, or $20/month, i.e. 5$.",
        "US$5, A$6, $5-$10, $5M - $10M, $1,000 today and $2,000 tomorrow",
        "$HOME and $PATH; $HOME/bin:$PATH",
        "from $5x to $6",
    ],
)
def test_prices_and_variables_stay_text(text: str) -> None:
    assert html(text) == f"<p>{text}</p>"


def test_code_is_never_touched() -> None:
    assert html("`$x^2$` \\(x^2\\)") == "<p><code>$x^2$</code> x²</p>"
    assert html("```\n\\[ x^2 \\]\n```") == "<pre><code>\\[ x^2 \\]\n</code></pre>"
    assert html("    $x^2$") == "<pre><code>$x^2$\n</code></pre>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$x^2$, $n$th, $3x$, $5x + 3 = 2$ and $100$", "<p>x², nth, 3x, 5x + 3 = 2 and 100</p>"),
        ("so \\(a_1 * b * c\\)", "<p>so a₁ * b * c</p>"),
        ("**Answer: $\\pi$**", "<p><strong>Answer: π</strong></p>"),
        ("\\[\nx = 5\n- 3\n+ 2\n\\]\nthen", "<pre>x = 5 - 3 + 2</pre><p>then</p>"),
        ("- item\n  $$\n  a\n  - b\n  $$", "<ul>\n<li>item<pre>a - b</pre></li>\n</ul>"),
        ("Then\n\\[ x^2 \\].", "<p>Then</p>\n<pre>x².</pre>"),
        ("open \\(a_1 + *b*", "<p>open \\(a_1 + *b*</p>"),
        ("\\[ \\foo{x} _a_ \\]", "<pre>\\[ \\foo{x} _a_ \\]</pre>"),
        ("\\(\\foo{_a_}\\)", "<p>\\(\\foo{_a_}\\)</p>"),
        ("$$\nx\n\ny$$", "<p>$$<br />\nx</p>\n<p>y$$</p>"),
    ],
)
def test_formulas_in_markdown(text: str, expected: str) -> None:
    assert html(text) == expected


async def test_a_reply_shows_its_formulas_and_keeps_their_source() -> None:
    text = (
        "The roots are \\(x = \\pm\\sqrt{2}\\):\n\n\\[\n\\boxed{x^2 = 2}\n\\]\n\nIt costs $5 or $6. " + "Words. " * 60
    )
    async with chat(Script(answer=text)) as it:
        reply = await it.ask("Solve it")
        await it.sees("The roots are x = ±√2:", "    │ x² = 2 │", "It costs $5 or $6.")
        assert it.session.conversation.path[-1].text == text
        assert reply.answer.text == text
