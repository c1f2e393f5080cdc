-- SPDX-License-Identifier: Apache-2.0
-- How many rows there are, and how many of them do not pass.
SELECT count(*), count(*) FILTER (WHERE NOT (price BETWEEN @price_min@ AND @price_max@
       AND coalesce(abs(target_return_10s), 0) <= 0.1)) FROM db_ready
