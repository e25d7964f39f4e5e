-- What the views and their columns mean.

COMMENT ON VIEW dynpipe.status IS
'one row per pipeline that you may see: does it run, why not, what to do, how far behind it is';
COMMENT ON COLUMN dynpipe.status.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.status.owner IS 'role that it acts as';
COMMENT ON COLUMN dynpipe.status.enabled IS 'shall it run? Set by dynpipe.start and dynpipe.stop';
COMMENT ON COLUMN dynpipe.status.state IS
'running, caught up, connecting, retrying, failed, waiting for a worker slot, stopping, stopped, restored, not preloaded or batch only';
COMMENT ON COLUMN dynpipe.status.reason IS 'why it does not run; null when it does';
COMMENT ON COLUMN dynpipe.status.advice IS 'what to do about it; null when there is nothing to do';
COMMENT ON COLUMN dynpipe.status.lag IS 'records that the source has and the tables have not; null when not known';
COMMENT ON COLUMN dynpipe.status.lag_time IS 'age of the newest record that was loaded, while there is a lag';
COMMENT ON COLUMN dynpipe.status.records_per_second IS 'records loaded per second, average of about 5 seconds';
COMMENT ON COLUMN dynpipe.status.bytes_per_second IS 'bytes of keys and values per second, average of about 5 seconds';
COMMENT ON COLUMN dynpipe.status.batch_rows IS 'records in the last batch, the largest of its workers';
COMMENT ON COLUMN dynpipe.status.batch_ms IS 'milliseconds that the last batch took, the longest of its workers';
COMMENT ON COLUMN dynpipe.status.latency_p50_ms IS
'median of the milliseconds from a record''s timestamp to its commit, over the last 1024 batches';
COMMENT ON COLUMN dynpipe.status.latency_p99_ms IS
'99th percentile of the milliseconds from a record''s timestamp to its commit, over the last 1024 batches';
COMMENT ON COLUMN dynpipe.status.last_error IS 'message of the last error; it stays after recovery';
COMMENT ON COLUMN dynpipe.status.last_error_sqlstate IS 'SQLSTATE of the last error';
COMMENT ON COLUMN dynpipe.status.last_error_detail IS 'detail of the last error';
COMMENT ON COLUMN dynpipe.status.last_error_hint IS 'what the last error advises';
COMMENT ON COLUMN dynpipe.status.last_error_context IS 'where the last error arose: partition, offset, column';
COMMENT ON COLUMN dynpipe.status.last_error_at IS 'when the last error arose';
COMMENT ON COLUMN dynpipe.status.next_try_at IS 'when it is tried again, while it fails';
COMMENT ON COLUMN dynpipe.status.last_commit_at IS 'when the last batch was committed';
COMMENT ON COLUMN dynpipe.status.partitions IS 'partitions that are being read';
COMMENT ON COLUMN dynpipe.status.version IS 'newest version of the configuration';
COMMENT ON COLUMN dynpipe.status.running_version IS 'version that batches run under; lower than version until the next batch';
COMMENT ON COLUMN dynpipe.status.records IS 'records consumed since the pipeline was made';
COMMENT ON COLUMN dynpipe.status.loaded IS 'records that went into silver, or bronze if there is no silver';
COMMENT ON COLUMN dynpipe.status.deduplicated IS 'records older than what their key had already';
COMMENT ON COLUMN dynpipe.status.dropped IS 'records dropped by a rule';
COMMENT ON COLUMN dynpipe.status.quarantined IS 'records that could not be used: see dynpipe.quarantine';
COMMENT ON COLUMN dynpipe.status.late IS 'records that came too late';
COMMENT ON COLUMN dynpipe.status.files_loaded IS 'files whose rows are in the tables; null for a stream';
COMMENT ON COLUMN dynpipe.status.files_pending IS 'files that wait to be loaded; null for a stream';
COMMENT ON COLUMN dynpipe.status.files_failed IS 'files that could not be loaded and are tried again: see dynpipe.file; null for a stream';

COMMENT ON VIEW dynpipe.partitions IS
'one row per partition of the pipelines that you may see: position, lag, and what became of every record before it';
COMMENT ON COLUMN dynpipe.partitions.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.partitions.partition IS 'number of the partition';
COMMENT ON COLUMN dynpipe.partitions.first_offset IS 'offset that reading began with';
COMMENT ON COLUMN dynpipe.partitions.next_offset IS 'offset that is read next; everything before it is committed';
COMMENT ON COLUMN dynpipe.partitions.high IS 'offset that the next record of the source will get; null when not known';
COMMENT ON COLUMN dynpipe.partitions.lag IS 'records behind; null when not known';
COMMENT ON COLUMN dynpipe.partitions.records IS 'records consumed: loaded + deduplicated + dropped + quarantined + late';
COMMENT ON COLUMN dynpipe.partitions.loaded IS 'records that were loaded';
COMMENT ON COLUMN dynpipe.partitions.deduplicated IS 'records older than what their key had already';
COMMENT ON COLUMN dynpipe.partitions.dropped IS 'records dropped by a rule';
COMMENT ON COLUMN dynpipe.partitions.quarantined IS 'records that could not be used';
COMMENT ON COLUMN dynpipe.partitions.late IS 'records that came too late';
COMMENT ON COLUMN dynpipe.partitions.warned IS 'loaded records that failed a rule with "otherwise: warn"';
COMMENT ON COLUMN dynpipe.partitions.inserted IS 'rows inserted into silver';
COMMENT ON COLUMN dynpipe.partitions.updated IS 'rows updated in silver';
COMMENT ON COLUMN dynpipe.partitions.deleted IS 'rows deleted from silver';
COMMENT ON COLUMN dynpipe.partitions.bronze IS 'rows written to bronze';
COMMENT ON COLUMN dynpipe.partitions.bytes IS 'bytes of keys and values';
COMMENT ON COLUMN dynpipe.partitions.last_timestamp IS 'newest timestamp of a record';
COMMENT ON COLUMN dynpipe.partitions.last_batch IS 'number of the last batch; the column _batch of bronze';
COMMENT ON COLUMN dynpipe.partitions.version IS 'version of the configuration of the last batch';

COMMENT ON VIEW dynpipe.quarantine IS
'records that could not be used, as they came, with the reason';
COMMENT ON COLUMN dynpipe.quarantine.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.quarantine.partition IS 'partition of the record';
COMMENT ON COLUMN dynpipe.quarantine."offset" IS 'offset of the record';
COMMENT ON COLUMN dynpipe.quarantine."timestamp" IS 'timestamp of the record';
COMMENT ON COLUMN dynpipe.quarantine.key IS 'key of the record';
COMMENT ON COLUMN dynpipe.quarantine.value IS 'value of the record';
COMMENT ON COLUMN dynpipe.quarantine.headers IS 'headers of the record';
COMMENT ON COLUMN dynpipe.quarantine.stage IS 'what it did not pass: decode, cast, required, key, expect, bronze, silver';
COMMENT ON COLUMN dynpipe.quarantine.column_name IS 'column that it failed at, if it was one';
COMMENT ON COLUMN dynpipe.quarantine.rule IS 'rule that it failed, if it was one';
COMMENT ON COLUMN dynpipe.quarantine.sqlstate IS 'SQLSTATE of the reason';
COMMENT ON COLUMN dynpipe.quarantine.message IS 'the reason';
COMMENT ON COLUMN dynpipe.quarantine.batch IS 'number of the batch that rejected it';
COMMENT ON COLUMN dynpipe.quarantine.version IS 'version of the configuration that rejected it';
COMMENT ON COLUMN dynpipe.quarantine.at IS 'when it was rejected';
COMMENT ON COLUMN dynpipe.quarantine.file IS 'URL of the file that it came from; null for a stream';
COMMENT ON COLUMN dynpipe.quarantine.line IS 'line of the file that it begins on, from 1; null for a stream';

COMMENT ON VIEW dynpipe.event_log IS
'what happened when: applied, started, stopped, failed, recovered, gap and others';
COMMENT ON COLUMN dynpipe.event_log.id IS 'number of the event';
COMMENT ON COLUMN dynpipe.event_log.at IS 'when it happened';
COMMENT ON COLUMN dynpipe.event_log.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.event_log.kind IS 'what happened';
COMMENT ON COLUMN dynpipe.event_log.severity IS 'info, warning or error';
COMMENT ON COLUMN dynpipe.event_log.message IS 'what happened, in words';
COMMENT ON COLUMN dynpipe.event_log.detail IS 'more, depending on the kind';

COMMENT ON VIEW dynpipe.history IS
'every version that a pipeline ever had';
COMMENT ON COLUMN dynpipe.history.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.history.version IS 'number of the version';
COMMENT ON COLUMN dynpipe.history.current IS 'is it the newest one?';
COMMENT ON COLUMN dynpipe.history.definition IS 'the configuration';
COMMENT ON COLUMN dynpipe.history.applied_by IS 'who applied it';
COMMENT ON COLUMN dynpipe.history.applied_at IS 'when it was applied';

COMMENT ON VIEW dynpipe.gaps IS
'ranges of offsets that the source no longer had when they were to be read';
COMMENT ON COLUMN dynpipe.gaps.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.gaps.partition IS 'partition';
COMMENT ON COLUMN dynpipe.gaps.from_offset IS 'first offset that was missing';
COMMENT ON COLUMN dynpipe.gaps.to_offset IS 'first offset after the gap';
COMMENT ON COLUMN dynpipe.gaps.count IS 'records that were missing';
COMMENT ON COLUMN dynpipe.gaps.reason IS 'why';
COMMENT ON COLUMN dynpipe.gaps.recorded_at IS 'when it was found';

COMMENT ON VIEW dynpipe.file IS
'one row per version of every file that your pipelines have seen: loaded, waiting, failed and why';
COMMENT ON COLUMN dynpipe.file.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.file.file IS 'URL of the file';
COMMENT ON COLUMN dynpipe.file.state IS 'pending, loaded, failed, replaced (a newer version took its place), unloaded or gone (it vanished before it was loaded)';
COMMENT ON COLUMN dynpipe.file.id IS 'number of this version; the column _partition of its rows';
COMMENT ON COLUMN dynpipe.file.version IS 'what tells versions apart: the ETag, or time of change and size';
COMMENT ON COLUMN dynpipe.file.size IS 'bytes, as stored; null when not known';
COMMENT ON COLUMN dynpipe.file.modified_at IS 'when the file was last changed, as the store says';
COMMENT ON COLUMN dynpipe.file.records IS 'records of the file: loaded + deduplicated + dropped + quarantined';
COMMENT ON COLUMN dynpipe.file.loaded IS 'records that went into silver, or bronze if there is no silver';
COMMENT ON COLUMN dynpipe.file.deduplicated IS 'records older than what their key had already';
COMMENT ON COLUMN dynpipe.file.dropped IS 'records dropped by a rule';
COMMENT ON COLUMN dynpipe.file.quarantined IS 'records that could not be used: see dynpipe.quarantine';
COMMENT ON COLUMN dynpipe.file.message IS 'why the last try failed';
COMMENT ON COLUMN dynpipe.file.detail IS 'more about why';
COMMENT ON COLUMN dynpipe.file.hint IS 'what to do about it';
COMMENT ON COLUMN dynpipe.file.sqlstate IS 'SQLSTATE of the failure';
COMMENT ON COLUMN dynpipe.file.failures IS 'tries that failed in a row';
COMMENT ON COLUMN dynpipe.file.next_try_at IS 'when workers try it again; dynpipe.run tries it at once';
COMMENT ON COLUMN dynpipe.file.seen_at IS 'when this version was first seen';
COMMENT ON COLUMN dynpipe.file.finished_at IS 'when it was loaded, replaced or unloaded';
COMMENT ON COLUMN dynpipe.file.current IS 'is it the newest version of a file that is still there?';

COMMENT ON VIEW dynpipe.progress IS
'loads of files that run now, one row per session or worker; watch it with \watch in psql. pg_stat_progress_copy shows them too';
COMMENT ON COLUMN dynpipe.progress.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.progress.pid IS 'process that loads';
COMMENT ON COLUMN dynpipe.progress.file IS 'file at hand; null for one that only the running transaction knows';
COMMENT ON COLUMN dynpipe.progress.percent IS 'part of the bytes of this run that were read; null when the sizes are not known';
COMMENT ON COLUMN dynpipe.progress.bar IS 'percent as a bar of 20 characters';
COMMENT ON COLUMN dynpipe.progress.records IS 'records read in this run';
COMMENT ON COLUMN dynpipe.progress.bytes IS 'bytes read in this run, as stored';
COMMENT ON COLUMN dynpipe.progress.bytes_total IS 'bytes of all files of this run';
COMMENT ON COLUMN dynpipe.progress.files_done IS 'files that are finished';
COMMENT ON COLUMN dynpipe.progress.files IS 'files of this run';
COMMENT ON COLUMN dynpipe.progress.records_per_second IS 'average since the run began';
COMMENT ON COLUMN dynpipe.progress.bytes_per_second IS 'average since the run began';
COMMENT ON COLUMN dynpipe.progress.elapsed IS 'since the run began';
COMMENT ON COLUMN dynpipe.progress.remaining IS 'at the average rate; null when the sizes are not known';
COMMENT ON COLUMN dynpipe.progress.file_records IS 'records read of the file at hand';
COMMENT ON COLUMN dynpipe.progress.file_quarantined IS 'of these, records that could not be used';
COMMENT ON COLUMN dynpipe.progress.file_bytes IS 'bytes read of the file at hand';
COMMENT ON COLUMN dynpipe.progress.file_bytes_total IS 'size of the file at hand';

COMMENT ON VIEW dynpipe.outputs IS
'objects of the destinations of the pipelines that you may see: written, wanted, or failed and why';
COMMENT ON COLUMN dynpipe.outputs.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN dynpipe.outputs.file IS 'URL of the file whose rows it holds';
COMMENT ON COLUMN dynpipe.outputs.url IS 'where the object is';
COMMENT ON COLUMN dynpipe.outputs.action IS 'write, or remove when its file was unloaded';
COMMENT ON COLUMN dynpipe.outputs.state IS 'wanted, failed or written';
COMMENT ON COLUMN dynpipe.outputs.rows IS 'rows in it when it was last written';
COMMENT ON COLUMN dynpipe.outputs.bytes IS 'its size when it was last written';
COMMENT ON COLUMN dynpipe.outputs.attempts IS 'tries since it was last wanted';
COMMENT ON COLUMN dynpipe.outputs.last_error IS 'why the last try failed; null when it did not';
COMMENT ON COLUMN dynpipe.outputs.last_error_sqlstate IS 'SQLSTATE of the last try, when it failed';
COMMENT ON COLUMN dynpipe.outputs.last_error_hint IS 'what to do about it';
COMMENT ON COLUMN dynpipe.outputs.next_try_at IS 'when it is due; null when it is written';
COMMENT ON COLUMN dynpipe.outputs.wanted_at IS 'when its rows were last loaded or unloaded';
COMMENT ON COLUMN dynpipe.outputs.written_at IS 'when it was last written';
