/*
 * source_feature.h
 *	  What the client libraries that this build runs with can do.
 */
#ifndef DP_SOURCE_FEATURE_H
#define DP_SOURCE_FEATURE_H

#include "source/refusal.h"

/*
 * Can the installed client do FEATURE ("ssl", "sasl", "sasl_plain",
 * "sasl_scram", "sasl_oauthbearer", "oidc", "azure_imds"; NULL: be used at
 * all)?  If not, *refusal says what is missing and what helps.
 */
extern bool dp_source_has_feature(const char *feature, DpRefusal *refusal);

#endif							/* DP_SOURCE_FEATURE_H */
