-- What the columns of the catalog tables mean; those of the views are described
-- in 31_view_comments.sql.

COMMENT ON COLUMN dynpipe.pipeline.id IS 'number of the pipeline; pipeline_id of the other tables';
COMMENT ON COLUMN dynpipe.pipeline.name IS 'its name as the document has it';
COMMENT ON COLUMN dynpipe.pipeline.owner IS 'role that it acts as';
COMMENT ON COLUMN dynpipe.pipeline.version IS 'number of the newest definition';
COMMENT ON COLUMN dynpipe.pipeline.definition IS 'the pipeline as canonical JSON';
COMMENT ON COLUMN dynpipe.pipeline.enabled IS 'shall it run?';
COMMENT ON COLUMN dynpipe.pipeline.home IS 'identity of the database it was enabled in: system identifier and oid';
COMMENT ON COLUMN dynpipe.pipeline.workers IS 'number of shards its partitions are divided among';
COMMENT ON COLUMN dynpipe.pipeline.streaming IS 'is its source read without end?';
COMMENT ON COLUMN dynpipe.pipeline.created_at IS 'when it was first applied';
COMMENT ON COLUMN dynpipe.pipeline.changed_at IS 'when it was last applied with a change, started or stopped';

COMMENT ON COLUMN dynpipe.pipeline_version.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.pipeline_version.version IS 'number of the version, from 1';
COMMENT ON COLUMN dynpipe.pipeline_version.definition IS 'the pipeline as canonical JSON';
COMMENT ON COLUMN dynpipe.pipeline_version.applied_by IS 'session user who applied it';
COMMENT ON COLUMN dynpipe.pipeline_version.applied_at IS 'when';

COMMENT ON COLUMN dynpipe.pipeline_table.table_schema IS 'schema of the table';
COMMENT ON COLUMN dynpipe.pipeline_table.table_name IS 'name of the table';
COMMENT ON COLUMN dynpipe.pipeline_table.pipeline_id IS 'the only pipeline that may write it';
COMMENT ON COLUMN dynpipe.pipeline_table.layer IS 'bronze, silver or gold';

COMMENT ON COLUMN dynpipe.checkpoint.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.checkpoint.partition IS 'number of the partition';
COMMENT ON COLUMN dynpipe.checkpoint.next_offset IS 'offset that is read next; moves by compare-and-swap only';
COMMENT ON COLUMN dynpipe.checkpoint.first_offset IS 'offset that reading began with';
COMMENT ON COLUMN dynpipe.checkpoint.consumed IS 'records read; the sum of the five fates';
COMMENT ON COLUMN dynpipe.checkpoint.loaded IS 'fate: in silver, applied to it, or in bronze where there is no silver';
COMMENT ON COLUMN dynpipe.checkpoint.deduplicated IS 'fate: older than what its key had';
COMMENT ON COLUMN dynpipe.checkpoint.dropped IS 'fate: dropped by where or a rule';
COMMENT ON COLUMN dynpipe.checkpoint.quarantined IS 'fate: could not be used, kept in quarantine_record';
COMMENT ON COLUMN dynpipe.checkpoint.late IS 'fate: came too late';
COMMENT ON COLUMN dynpipe.checkpoint.warned IS 'loaded records that failed a rule which only warns';
COMMENT ON COLUMN dynpipe.checkpoint.inserted IS 'silver rows inserted; booked on one partition of each batch';
COMMENT ON COLUMN dynpipe.checkpoint.updated IS 'silver rows updated; booked on one partition of each batch';
COMMENT ON COLUMN dynpipe.checkpoint.deleted IS 'silver rows deleted; booked on one partition of each batch';
COMMENT ON COLUMN dynpipe.checkpoint.bronze IS 'bronze rows written';
COMMENT ON COLUMN dynpipe.checkpoint.bytes IS 'bytes of keys and values';
COMMENT ON COLUMN dynpipe.checkpoint.last_timestamp IS 'newest timestamp of a record';
COMMENT ON COLUMN dynpipe.checkpoint.last_batch IS 'number of the last batch';
COMMENT ON COLUMN dynpipe.checkpoint.version IS 'version of the configuration that the last batch ran under';

COMMENT ON COLUMN dynpipe.adoption.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.adoption.partition IS 'number of the partition';
COMMENT ON COLUMN dynpipe.adoption.version IS 'version that came into force';
COMMENT ON COLUMN dynpipe.adoption.first_batch IS 'first batch of the partition that ran under it';
COMMENT ON COLUMN dynpipe.adoption.adopted_at IS 'when';

COMMENT ON COLUMN dynpipe.gap.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.gap.partition IS 'number of the partition';
COMMENT ON COLUMN dynpipe.gap.from_offset IS 'first offset that was missing';
COMMENT ON COLUMN dynpipe.gap.to_offset IS 'first offset after the gap';
COMMENT ON COLUMN dynpipe.gap.count IS 'offsets that were missing';
COMMENT ON COLUMN dynpipe.gap.reason IS 'why they were missing';
COMMENT ON COLUMN dynpipe.gap.recorded_at IS 'when it was found';

COMMENT ON COLUMN dynpipe.quarantine_record.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.quarantine_record.partition IS 'partition of the record';
COMMENT ON COLUMN dynpipe.quarantine_record."offset" IS 'offset of the record';
COMMENT ON COLUMN dynpipe.quarantine_record."timestamp" IS 'timestamp of the record';
COMMENT ON COLUMN dynpipe.quarantine_record.key IS 'key of the record';
COMMENT ON COLUMN dynpipe.quarantine_record.value IS 'value of the record';
COMMENT ON COLUMN dynpipe.quarantine_record.headers IS 'headers of the record';
COMMENT ON COLUMN dynpipe.quarantine_record.stage IS 'what it did not pass: decode, cast, required, key, expect, bronze, silver';
COMMENT ON COLUMN dynpipe.quarantine_record.column_name IS 'column that it failed at, if it was one';
COMMENT ON COLUMN dynpipe.quarantine_record.rule IS 'expectation or constraint that it failed, if it was one';
COMMENT ON COLUMN dynpipe.quarantine_record.sqlstate IS 'SQLSTATE of the reason';
COMMENT ON COLUMN dynpipe.quarantine_record.message IS 'the reason';
COMMENT ON COLUMN dynpipe.quarantine_record.batch IS 'number of the batch that rejected it';
COMMENT ON COLUMN dynpipe.quarantine_record.version IS 'version of the configuration that rejected it';
COMMENT ON COLUMN dynpipe.quarantine_record.at IS 'when it was rejected';

COMMENT ON COLUMN dynpipe.event.id IS 'number of the event';
COMMENT ON COLUMN dynpipe.event.at IS 'when it happened';
COMMENT ON COLUMN dynpipe.event.pipeline_id IS 'the pipeline, which may be gone';
COMMENT ON COLUMN dynpipe.event.pipeline IS 'its name at that time';
COMMENT ON COLUMN dynpipe.event.kind IS 'applied, started, stopped, dropped, seek, refreshed, gap, failed or recovered';
COMMENT ON COLUMN dynpipe.event.severity IS 'info, warning or error';
COMMENT ON COLUMN dynpipe.event.message IS 'what happened, in words';
COMMENT ON COLUMN dynpipe.event.detail IS 'of failures: shard, count, SQLSTATE, detail, hint, context';

COMMENT ON COLUMN dynpipe.failure.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.failure.shard IS 'which of its shards, from 0';
COMMENT ON COLUMN dynpipe.failure.failures IS 'failures in a row';
COMMENT ON COLUMN dynpipe.failure.sqlstate IS 'SQLSTATE of the last error';
COMMENT ON COLUMN dynpipe.failure.message IS 'message of the last error';
COMMENT ON COLUMN dynpipe.failure.detail IS 'detail of the last error';
COMMENT ON COLUMN dynpipe.failure.hint IS 'what the last error advises';
COMMENT ON COLUMN dynpipe.failure.context IS 'where the last error arose';
COMMENT ON COLUMN dynpipe.failure.first_at IS 'when the series of failures began';
COMMENT ON COLUMN dynpipe.failure.last_at IS 'when it failed last';
COMMENT ON COLUMN dynpipe.failure.next_try_at IS 'when it is tried again';

COMMENT ON COLUMN dynpipe.gold_refresh.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.gold_refresh.gold IS 'the gold table, qualified';
COMMENT ON COLUMN dynpipe.gold_refresh.refreshed_at IS 'when it was last recomputed in full';

COMMENT ON COLUMN dynpipe.output_object.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.output_object.key IS 'name of the object in its store';
COMMENT ON COLUMN dynpipe.output_object.url IS 'where it is';
COMMENT ON COLUMN dynpipe.output_object.source IS 'URL of the file whose rows it holds';
COMMENT ON COLUMN dynpipe.output_object.file_id IS 'version of that file; _partition of its rows in silver';
COMMENT ON COLUMN dynpipe.output_object.action IS 'write or remove';
COMMENT ON COLUMN dynpipe.output_object.state IS 'wanted, failed or written';
COMMENT ON COLUMN dynpipe.output_object.generation IS 'how often it was wanted; what is written for an older one does not count';
COMMENT ON COLUMN dynpipe.output_object.rows IS 'rows in it when it was last written';
COMMENT ON COLUMN dynpipe.output_object.bytes IS 'its size when it was last written';
COMMENT ON COLUMN dynpipe.output_object.attempts IS 'tries since it was last wanted';
COMMENT ON COLUMN dynpipe.output_object.sqlstate IS 'SQLSTATE of the last try, when it failed';
COMMENT ON COLUMN dynpipe.output_object.message IS 'why the last try failed';
COMMENT ON COLUMN dynpipe.output_object.hint IS 'what to do about it';
COMMENT ON COLUMN dynpipe.output_object.wanted_at IS 'when it was last wanted';
COMMENT ON COLUMN dynpipe.output_object.next_try_at IS 'when it is due';
COMMENT ON COLUMN dynpipe.output_object.written_at IS 'when it was last written';

COMMENT ON COLUMN dynpipe.pipeline.served IS 'do workers run it: a stream, or files with watch, schedule or a destination?';
COMMENT ON COLUMN dynpipe.quarantine_record.line IS 'line of the file on which the record begins, from 1';

COMMENT ON COLUMN dynpipe.source_file.id IS 'number of this version of the file; the partition of its rows';
COMMENT ON COLUMN dynpipe.source_file.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.source_file.url IS 'where it is; the key is not percent-encoded';
COMMENT ON COLUMN dynpipe.source_file.version IS 'ETag, or time of change and size: equal means same bytes';
COMMENT ON COLUMN dynpipe.source_file.size IS 'bytes, as stored';
COMMENT ON COLUMN dynpipe.source_file.modified_at IS 'when it was changed, as the store says';
COMMENT ON COLUMN dynpipe.source_file.state IS 'what became of it';
COMMENT ON COLUMN dynpipe.source_file.current IS 'the newest version of an object that is still there?';
COMMENT ON COLUMN dynpipe.source_file.layout IS 'how its records are decoded: delimiter, header and the like';
COMMENT ON COLUMN dynpipe.source_file.batch IS 'last batch of its load';
COMMENT ON COLUMN dynpipe.source_file.seen_at IS 'when this version was first seen';
COMMENT ON COLUMN dynpipe.source_file.tried_at IS 'when its load was last tried';
COMMENT ON COLUMN dynpipe.source_file.finished_at IS 'when it was loaded, replaced or unloaded';
COMMENT ON COLUMN dynpipe.source_file.failures IS 'tries that failed in a row';
COMMENT ON COLUMN dynpipe.source_file.sqlstate IS 'SQLSTATE of the last failure';
COMMENT ON COLUMN dynpipe.source_file.message IS 'why the last try failed';
COMMENT ON COLUMN dynpipe.source_file.detail IS 'more about it';
COMMENT ON COLUMN dynpipe.source_file.hint IS 'what to do about it';
COMMENT ON COLUMN dynpipe.source_file.next_try_at IS 'when workers try it again';

COMMENT ON COLUMN dynpipe.tick.pipeline_id IS 'the pipeline';
COMMENT ON COLUMN dynpipe.tick.ticked_at IS 'when its schedule was last kept';
