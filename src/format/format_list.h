/*
 * format_list.h
 *	  The formats that exist.  A new one is format_<name>.c defining
 *	  dp_format_<name>_ops, and one line here.
 */
DP_FORMAT(json)
DP_FORMAT(csv)
DP_FORMAT(text)
