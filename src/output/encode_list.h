/*
 * encode_list.h
 *	  The formats of destinations: DP_ENCODER(name) for each
 *	  dp_encoder_<name>_ops.  Read more than once, so no include guard.
 */
DP_ENCODER(csv)
DP_ENCODER(json)
