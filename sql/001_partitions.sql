-- SPDX-License-Identifier: Apache-2.0
-- Monthly partitions, made when rows for a month first come.

-- Makes the partitions of table `parent` for all months of [from_time, to_time] (UTC). Tables are
-- partitioned either by timestamptz or by bigint milliseconds since 1970. Months outside 2009 to
-- 2100 are refused: a broken time must not fill the catalogue.
CREATE FUNCTION make_month_partitions(parent text, from_time timestamptz, to_time timestamptz)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', from_time AT TIME ZONE 'UTC');
    last_month timestamp := date_trunc('month', to_time AT TIME ZONE 'UTC');
    next_month timestamp;
    child text;
    in_ms boolean;
    made integer := 0;
BEGIN
    IF from_time IS NULL OR to_time IS NULL THEN
        RETURN 0;
    END IF;
    IF month < timestamp '2009-01-01' OR last_month >= timestamp '2101-01-01' THEN
        RAISE EXCEPTION 'time out of range: % to %', from_time, to_time
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    WHILE month <= last_month LOOP
        next_month := month + interval '1 month';
        child := format('%s_%s', parent, to_char(month, 'YYYYMM'));
        IF to_regclass(child) IS NULL THEN
            -- Two loaders may meet at midnight.
            PERFORM pg_advisory_xact_lock(hashtext('btcast partitions'), hashtext(parent));
            IF to_regclass(child) IS NULL THEN
                SELECT a.atttypid = 'bigint'::regtype INTO STRICT in_ms
                FROM pg_partitioned_table p
                JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
                WHERE p.partrelid = parent::regclass;
                -- Attaching does not shut readers out; CREATE … PARTITION OF would.
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                               child, parent);
                IF in_ms THEN
                    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                                   parent, child,
                                   extract(epoch FROM month AT TIME ZONE 'UTC')::bigint * 1000,
                                   extract(epoch FROM next_month AT TIME ZONE 'UTC')::bigint * 1000);
                ELSE
                    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                                   parent, child, month AT TIME ZONE 'UTC',
                                   next_month AT TIME ZONE 'UTC');
                END IF;
                made := made + 1;
            END IF;
        END IF;
        month := next_month;
    END LOOP;
    RETURN made;
END $$;

-- How far each loader has come; written in the same transaction as the rows, so that a restart
-- neither repeats nor misses any.
CREATE TABLE load_position (
    loader text PRIMARY KEY,
    position text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
