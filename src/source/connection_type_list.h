/*
 * connection_type_list.h
 *	  The types of server: DP_CONNECTION_TYPE(name, mark, check).  Read twice,
 *	  so no include guard.
 */
DP_CONNECTION_TYPE(eventhubs, DP_TYPE_EVENTHUBS, dp_kafka_check_connection)
DP_CONNECTION_TYPE(kafka, DP_TYPE_KAFKA, dp_kafka_check_connection)
DP_CONNECTION_TYPE(s3, DP_TYPE_S3, dp_s3_check_connection)
DP_CONNECTION_TYPE(adls, DP_TYPE_ADLS, dp_azure_check_connection)
