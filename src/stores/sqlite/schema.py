"""The migrations of the SQLite schema."""

# Each script migrates from one version to the next. Released scripts never change.
# `holds`, `usage` and `audit` can have rows of deleted keys, so they have no foreign key on `keys`.
MIGRATIONS = (
    """
    CREATE TABLE keys (
        key_id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE holds (
        key_id TEXT NOT NULL, hold_id TEXT NOT NULL, opened_at REAL NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (key_id, hold_id)
    ) WITHOUT ROWID;
    CREATE TABLE usage (
        key_id TEXT NOT NULL, request_id TEXT NOT NULL, model TEXT NOT NULL, started_at REAL NOT NULL,
        streamed INTEGER NOT NULL, status INTEGER NOT NULL, provider TEXT, upstream_model TEXT, finish_reason TEXT,
        error_code TEXT, latency_ms INTEGER NOT NULL, time_to_first_token_ms INTEGER, upstream_ms INTEGER,
        input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER,
        input_audio_tokens INTEGER, reasoning_tokens INTEGER, output_audio_tokens INTEGER,
        accepted_prediction_tokens INTEGER, rejected_prediction_tokens INTEGER,
        cost_micro_usd INTEGER, cost_source TEXT NOT NULL,
        PRIMARY KEY (key_id, request_id)
    ) WITHOUT ROWID;
    """,
    # Limits. The keys of the first version have none: their balance is gateway.limits.UNLIMITED until NEVER.
    # `late` holds were closed, reserve nothing, and can still be settled.
    """
    ALTER TABLE keys ADD COLUMN owner TEXT;
    ALTER TABLE keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE keys ADD COLUMN tier TEXT;
    ALTER TABLE keys ADD COLUMN role TEXT NOT NULL DEFAULT 'user';
    ALTER TABLE keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE keys ADD COLUMN rpm INTEGER;
    ALTER TABLE keys ADD COLUMN tpm INTEGER;
    ALTER TABLE keys ADD COLUMN concurrency INTEGER;
    ALTER TABLE keys ADD COLUMN budget_usd TEXT;
    ALTER TABLE keys ADD COLUMN budget_per TEXT;
    ALTER TABLE keys ADD COLUMN allow_unpriced INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN shards INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE keys ADD COLUMN previous_hash TEXT;
    ALTER TABLE keys ADD COLUMN previous_until INTEGER;
    ALTER TABLE keys ADD COLUMN balance_window INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN requests_left INTEGER NOT NULL DEFAULT 1000000000000000;
    ALTER TABLE keys ADD COLUMN tokens_left INTEGER NOT NULL DEFAULT 1000000000000000;
    ALTER TABLE keys ADD COLUMN budget_until INTEGER NOT NULL DEFAULT 1099511627776;
    ALTER TABLE keys ADD COLUMN budget_left INTEGER NOT NULL DEFAULT 1000000000000000;
    ALTER TABLE holds ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE holds ADD COLUMN micro_usd INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE holds ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE audit (
        key_id TEXT NOT NULL, at REAL NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL, changed TEXT NOT NULL
    );
    CREATE INDEX audit_of_key ON audit (key_id, at);
    """,
    # The date of the catalog prices that a cost was computed with.
    """
    ALTER TABLE usage ADD COLUMN priced_on TEXT;
    """,
    # Token counts with prices of their own, and why a cost is an estimate.
    """
    ALTER TABLE usage ADD COLUMN cache_write_1h_tokens INTEGER;
    ALTER TABLE usage ADD COLUMN cached_audio_tokens INTEGER;
    ALTER TABLE usage ADD COLUMN cost_note TEXT;
    """,
    # Which operation a request was; the versions before knew only chat. What is billed beside tokens.
    """
    ALTER TABLE usage ADD COLUMN operation TEXT NOT NULL DEFAULT 'chat';
    ALTER TABLE usage ADD COLUMN images INTEGER;
    ALTER TABLE usage ADD COLUMN seconds INTEGER;
    ALTER TABLE usage ADD COLUMN characters INTEGER;
    ALTER TABLE usage ADD COLUMN searches INTEGER;
    """,
    # Tokens of images in the input, which have a price of their own.
    """
    ALTER TABLE usage ADD COLUMN input_image_tokens INTEGER;
    """,
    # The attempts of a request that took more than one, as JSON.
    "ALTER TABLE usage ADD COLUMN attempts TEXT;",
    # Documents that several processes share, until they expire.
    """
    CREATE TABLE documents (
        collection TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, expires_at INTEGER NOT NULL,
        revision TEXT NOT NULL, PRIMARY KEY (collection, name)
    ) WITHOUT ROWID;
    CREATE INDEX documents_by_end ON documents (expires_at);
    """,
    # The team of a key. Teams are rows of `keys` too; their holds have ids of `key_id/hold_id`.
    "ALTER TABLE keys ADD COLUMN team TEXT;",
    # The guardrails of a key, and what guardrails did, as JSON.
    """
    ALTER TABLE keys ADD COLUMN guardrails TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE usage ADD COLUMN guardrails TEXT;
    """,
    # For how long responses to a key may be cached.
    "ALTER TABLE keys ADD COLUMN cache_seconds INTEGER NOT NULL DEFAULT 0;",
    # The credentials for which a key has secrets of its own.
    "ALTER TABLE keys ADD COLUMN credentials TEXT NOT NULL DEFAULT '[]';",
)
