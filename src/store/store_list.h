/*
 * store_list.h
 *	  The stores: DP_STORE(scheme) for each dp_store_<scheme>_ops.  Read more
 *	  than once, so no include guard.
 */
DP_STORE(file)
DP_STORE(https)
DP_STORE(s3)
DP_STORE(abfss)
DP_STORE(az)
