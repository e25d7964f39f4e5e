/*
 * s3.h
 *	  Between the files of store s3://: the bucket at hand and its requests.
 *
 *	  store_s3.c     check, open, stat, get, remove
 *	  s3_place.c     connection and bucket -> address
 *	  s3_request.c   key and query -> signed request; error document -> error
 *	  s3_list.c      pages of a listing
 *	  s3_put.c       uploads, in parts
 */
#ifndef DP_S3_H
#define DP_S3_H

#include "source/connection.h"
#include "store/http.h"
#include "store/store.h"

/* Where a bucket is. */
typedef struct DpS3Place
{
	char	   *url;			/* of the bucket, without '/' at its end */
	char	   *region;
	bool		plain;			/* http:// */
} DpS3Place;

typedef struct DpS3
{
	DpStore		base;
	DpHttp	   *http;
	DpS3Place	place;
	char	   *bucket;
	DpConnection *conn;			/* with secrets; NULL: none, anonymous */
	const char *access_key;		/* NULL: anonymous */
	const char *secret_key;
	const char *session_token;
	const char *ca;
	char	   *sigv4;
} DpS3;

/* CONN may be NULL.  False: *REFUSAL says why not. */
extern bool dp_s3_place(const char *bucket, const DpConnection *conn, DpS3Place *place,
						DpRefusal *refusal);

/* A request for KEY, NULL for the bucket itself; QUERY is sorted and encoded, or NULL. */
extern DpHttpRequest *dp_s3_request(DpS3 *s3, const char *method, const char *key,
									const char *query);
extern void dp_s3_raise(const DpHttpRequest *request, const DpHttpResponse *response)
			pg_attribute_noreturn();
/* The code of an error document, NULL if there is none. */
extern const char *dp_s3_error_code(const DpHttpResponse *response);
/* An ETag without its quotes; NULL stays NULL. */
extern char *dp_s3_etag(const char *etag);
/* What tells versions apart when there is no ETag. */
extern char *dp_s3_version(const char *etag, int64 modified_ms, int64 size);

extern List *dp_s3_list(DpStore *store, const char *prefix, bool flat, char **state);
extern DpPut *dp_s3_put(DpStore *store, const char *key, const char *content_type);

#endif							/* DP_S3_H */
