-- All times of evidence are business time. Protocol time runs as fast in virtual time, and `speed` times slower in real
-- time: so many seconds of business time are one of it.
CREATE OR REPLACE TABLE pace AS
SELECT coalesce(max(value), 1_000_000) / 1e6 AS speed FROM facts WHERE fact = 'protocol_second_us';
