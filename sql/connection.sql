-- Connections: what servers and user mappings accept, and every refusal.
-- No broker is needed.  No message may show the value of an option.

CREATE ROLE regress_dp_owner;
CREATE ROLE regress_dp_files;
CREATE ROLE regress_dp_admin SUPERUSER;
GRANT pg_read_server_files TO regress_dp_files;
GRANT USAGE ON FOREIGN DATA WRAPPER dynpipe TO regress_dp_owner, regress_dp_files;
GRANT USAGE ON SCHEMA dynpipe TO regress_dp_owner;

-- servers that are fine
CREATE SERVER contoso TYPE 'eventhubs' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (namespace 'contoso', "fetch.wait.max.ms" '50', "broker.address.family" 'v4');
CREATE SERVER brokers TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'broker1:9092,[::1]:9092', security_protocol 'sasl_ssl',
             sasl_mechanism 'PLAIN');
ALTER SERVER contoso OPTIONS (SET "fetch.wait.max.ms" '100', ADD "socket.timeout.ms" '30000');
ALTER SERVER contoso OPTIONS (DROP "socket.timeout.ms");

-- names
ALTER SERVER contoso OPTIONS (ADD namespase 'contoso');
ALTER SERVER contoso OPTIONS (ADD "sasl.password" 'canary-1');
ALTER SERVER contoso OPTIONS (ADD "plugin.library.paths" '/tmp/evil.so');
ALTER SERVER contoso OPTIONS (ADD connection_string 'canary-2');
ALTER SERVER contoso OPTIONS (ADD client_secret_file '/etc/passwd');
ALTER SERVER contoso OPTIONS (ADD username 'canary-3');
ALTER FOREIGN DATA WRAPPER dynpipe OPTIONS (ADD namespace 'contoso');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (namespace 'contoso');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (conection_string 'canary-4');

-- values
ALTER SERVER contoso OPTIONS (SET namespace 'Endpoint=sb://canary-5/');
ALTER SERVER contoso OPTIONS (SET namespace '');
ALTER SERVER brokers OPTIONS (SET bootstrap_servers 'https://broker1/');
ALTER SERVER brokers OPTIONS (SET security_protocol 'tls');
ALTER SERVER brokers OPTIONS (SET sasl_mechanism 'GSSAPI');
ALTER SERVER brokers OPTIONS (ADD token_endpoint 'http://169.254.169.254/');
ALTER SERVER brokers OPTIONS (ADD ssl_ca_file 'ca.pem');
ALTER SERVER brokers OPTIONS (ADD "ssl.ca.pem" 'canary-6');
ALTER SERVER brokers OPTIONS (ADD "ssl.ca.pem" '-----BEGIN PRIVATE KEY-----');
ALTER SERVER brokers OPTIONS (ADD "fetch.min.bytes" 'many');
ALTER SERVER brokers OPTIONS (ADD "fetch.min.bytes" '0');
ALTER SERVER brokers OPTIONS (ADD "metadata.max.age.ms" '99999999999999999999');
ALTER SERVER brokers OPTIONS (ADD "socket.nagle.disable" 'perhaps');
ALTER SERVER brokers OPTIONS (ADD ssl_ca_file '/ca.pem', ADD "ssl.ca.pem" '-----BEGIN CERTIFICATE-----');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (connection_string 'canary-7');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso
    OPTIONS (connection_string 'Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKey=canary-8');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso
    OPTIONS (connection_string 'Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers OPTIONS (username '', password 'canary-9');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (managed_identity 'maybe');

-- together
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso
    OPTIONS (connection_string_file '/run/secrets/contoso', client_id 'a', client_secret 'canary-10');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers
    OPTIONS (username 'u', password 'canary-11', password_file '/run/secrets/p');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers OPTIONS (username 'u');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers OPTIONS (password 'canary-12');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (client_secret 'canary-13');
CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (tenant_id 'contoso.example');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers
    OPTIONS (ssl_certificate '-----BEGIN CERTIFICATE-----');
CREATE USER MAPPING FOR regress_dp_owner SERVER brokers OPTIONS (ssl_key_password 'canary-14');

-- what only some may set
SET ROLE regress_dp_owner;
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'b:9092', "ssl.endpoint.identification.algorithm" 'none');
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'b:9092', ssl_ca_file '/ca.pem');
CREATE SERVER mine TYPE 'eventhubs' FOREIGN DATA WRAPPER dynpipe OPTIONS (namespace 'contoso');
CREATE USER MAPPING FOR regress_dp_owner SERVER mine
    OPTIONS (connection_string_file '/run/secrets/contoso');
CREATE USER MAPPING FOR regress_dp_owner SERVER mine OPTIONS (managed_identity 'true');
RESET ROLE;
SET ROLE regress_dp_files;
CREATE SERVER theirs TYPE 'eventhubs' FOREIGN DATA WRAPPER dynpipe OPTIONS (namespace 'contoso');
CREATE USER MAPPING FOR regress_dp_files SERVER theirs
    OPTIONS (connection_string_file '/run/secrets/contoso');
RESET ROLE;

-- what depends on how librdkafka was built: accepted, or refused for that reason alone
DO $$
BEGIN
    CREATE USER MAPPING FOR regress_dp_owner SERVER contoso
        OPTIONS (client_id 'a', client_secret 'canary-15', tenant_id 'b');
    DROP USER MAPPING FOR regress_dp_owner SERVER contoso;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
DO $$
BEGIN
    CREATE USER MAPPING FOR regress_dp_owner SERVER contoso OPTIONS (managed_identity 'true');
    DROP USER MAPPING FOR regress_dp_owner SERVER contoso;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;

-- what only shows when a connection is used; the first step fails before any network
CREATE FUNCTION pg_temp.try(server name, topic text DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
    SELECT step || ': ' || detail FROM dynpipe.test_connection(server, topic) WHERE NOT ok
$$;
GRANT ALL ON FUNCTION pg_temp.try(name, text) TO PUBLIC;
SET ROLE regress_dp_admin;
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.try('contoso');
SELECT pg_temp.try('brokers');
CREATE USER MAPPING FOR CURRENT_USER SERVER contoso;
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (ADD username 'u', ADD password 'canary-16');
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (DROP username, DROP password,
    ADD connection_string 'Endpoint=sb://other.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=canary-17');
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (
    SET connection_string 'Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=canary-18;EntityPath=orders');
SELECT pg_temp.try('contoso', 'sales');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (DROP connection_string,
    ADD connection_string_file '/nonexistent/canary-19');
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (SET connection_string_file '/');
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (SET connection_string_file '/dev/null');
SELECT pg_temp.try('contoso');
ALTER USER MAPPING FOR CURRENT_USER SERVER contoso OPTIONS (SET connection_string_file '/etc/passwd');
SELECT pg_temp.try('contoso');
ALTER SERVER contoso OPTIONS (ADD security_protocol 'plaintext');
SELECT pg_temp.try('contoso');
ALTER SERVER contoso OPTIONS (DROP security_protocol, DROP namespace);
SELECT pg_temp.try('contoso');
ALTER SERVER brokers OPTIONS (ADD suffix 'servicebus.chinacloudapi.cn');
SELECT pg_temp.try('brokers');
CREATE SERVER untyped FOREIGN DATA WRAPPER dynpipe;
SELECT pg_temp.try('untyped');
CREATE SERVER odd TYPE 'pulsar' FOREIGN DATA WRAPPER dynpipe;
SELECT pg_temp.try('odd');
CREATE FOREIGN DATA WRAPPER regress_dp_other;
CREATE SERVER foreign_one TYPE 'kafka' FOREIGN DATA WRAPPER regress_dp_other;
SELECT pg_temp.try('foreign_one');
SET ROLE regress_dp_owner;
SELECT step || ': ' || detail FROM dynpipe.test_connection('contoso') WHERE NOT ok;
SET ROLE regress_dp_admin;
CREATE SERVER lax TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'b:9092', "ssl.endpoint.identification.algorithm" 'none');
GRANT USAGE ON FOREIGN DATA WRAPPER dynpipe TO regress_dp_owner;
ALTER SERVER lax OWNER TO regress_dp_owner;
SELECT pg_temp.try('lax');

SELECT * FROM dynpipe.test_connection('nobody');
SELECT * FROM dynpipe.test_connection(NULL);

RESET ROLE;
SET client_min_messages = warning;
DROP SERVER contoso, brokers, mine, theirs, untyped, odd, foreign_one, lax CASCADE;
DROP FOREIGN DATA WRAPPER regress_dp_other;
REVOKE ALL ON FOREIGN DATA WRAPPER dynpipe FROM regress_dp_owner, regress_dp_files;
REVOKE ALL ON SCHEMA dynpipe FROM regress_dp_owner;
DROP ROLE regress_dp_owner, regress_dp_files, regress_dp_admin;
