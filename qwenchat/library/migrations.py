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
    """
    alter table conversations add column pinned integer not null default 0;    -- 1: stands above the others
    alter table conversations add column archived integer not null default 0;  -- 1: out of the way, and found by search
    alter table conversations add column renamed integer not null default 0;   -- 1: a person chose the title
    alter table conversations add column deleted real;                         -- Unix time, null while it is there
    alter table conversations add column model text not null default '';       -- of the latest reply, for lists
    alter table conversations add column said integer not null default 0;      -- messages of the user and the model
    update conversations set model = coalesce(
      (select json_extract(cast(provenance as text), '$.model.name') from messages
        where conversation = conversations.id and json_valid(cast(provenance as text))
        order by messages.rowid desc limit 1), '');
    drop index conversations_by_update;
    create index conversations_listed on conversations (archived, pinned desc, updated desc) where deleted is null;
    create index conversations_deleted on conversations (deleted) where deleted is not null;
    insert into conversations (id, title, created, updated)
      select conversation, '', min(created), max(created) from messages
      where conversation not in (select id from conversations) group by conversation;
    create table numbered (
      number integer primary key,  -- in the order in which they began, the key of the search index
      id text not null unique,     -- 16 hexadecimal digits
      conversation text not null references conversations on delete cascade,
      parent text,                 -- the message this one answers, null for a first message
      role text not null,          -- system, user, assistant, tool
      parts blob not null,         -- JSON: the typed parts, raw text
      created real not null,       -- Unix time in seconds
      status text not null,        -- complete, streaming, stopped, interrupted, failed
      note text not null,          -- why a reply ended early
      provenance blob,             -- JSON: model, sampling, usage, timing, null for people
      timeline blob,               -- when each piece came, see timeline.py
      writer text,                 -- the process that is writing it, null once it ended
      hidden real                  -- Unix time when it was deleted, null while it is there
    );
    insert into numbered select rowid, *, null from messages where id is not null order by rowid;
    drop table messages;
    alter table numbered rename to messages;
    create index messages_by_conversation on messages (conversation, number);
    create index messages_said on messages (conversation) where role in ('user', 'assistant') and hidden is null;
    update conversations set said =
      (select count(*) from messages where conversation = conversations.id and role in ('user', 'assistant'));
    create index messages_hidden on messages (hidden) where hidden is not null;
    create index messages_streaming on messages (writer) where writer is not null;
    create table unsearched (
      change integer primary key autoincrement,
      message integer not null     -- the number of a message that the search index is to look at again
    );
    """,
    """
    create table blocks (
      draft text not null references drafts on delete cascade,
      label text not null,         -- what stands in the draft for a long text that was pasted
      text text not null,
      primary key (draft, label)
    );
    """,
)
