-- dynpipe: metadata-driven real-time pipelines.  MIT License.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dynpipe" to load this file. \quit
