"""The schema, as numbered steps that are only ever added to."""

MIGRATIONS = (
    """
    create table conversations (
      id text primary key,         -- 16 hexadecimal digits
      title text not null,         -- for lists, from the first message
      created real not null,       -- Unix time in seconds
      updated real not null,       -- Unix time in seconds of the last change
      leaf text                    -- the message whose branch is being read
    );
    create table messages (
      id text primary key,         -- 16 hexadecimal digits
      conversation text not null references conversations on delete cascade,
      parent text,                 -- the message this one answers, null for a first message
      role text not null,          -- system, user, assistant, tool
      parts blob not null,         -- JSON: the typed parts, raw text
      created real not null,       -- Unix time in seconds
      status text not null,        -- complete, streaming, stopped, interrupted, failed
      note text not null,          -- why a reply ended early
      provenance blob,             -- JSON: model, sampling, usage, timing, null for people
      timeline blob,               -- when each piece came, see timeline.py
      writer text                  -- the process that is writing it, null once it ended
    );
    create table drafts (
      conversation text primary key,  -- an id, or '' for a chat that has not begun
      text text not null              -- what was typed and not sent
    );
    create index messages_by_conversation on messages (conversation, created);
    create index conversations_by_update on conversations (updated desc);
    create index messages_streaming on messages (writer) where writer is not null;
    """,
)
