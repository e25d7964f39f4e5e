"""cloud_client - look into S3 and Azure servers for the tests, by the clients
of AWS and Azure themselves.

    cloud_client.py s3 ADDRESS KEY SECRET
    cloud_client.py azure ADDRESS ACCOUNT KEY

One JSON array [command, argument...] a line on stdin; one JSON object a line on
stdout: {"ok": result} or {"error": text}.  Contents travel in files.
"""
import concurrent.futures
import json
import os
import sys


def client(service, address, key, secret, token=None):
    import boto3
    from botocore.config import Config
    return boto3.client(
        service, endpoint_url=address, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=token,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16))


class S3:
    def __init__(self, address, key, secret):
        self.address, self.key, self.secret = address, key, secret
        self.s3 = client("s3", address, key, secret)

    def login(self, key, secret):
        self.__init__(self.address, key, secret)

    def bucket(self, name):
        self.s3.create_bucket(Bucket=name)

    def put(self, bucket, key, path, headers=None):
        with open(path, "rb") as content:
            return self.s3.put_object(Bucket=bucket, Key=key, Body=content,
                                      **(headers or {}))["ETag"]

    def put_file(self, bucket, key, path):
        self.s3.upload_file(path, bucket, key)

    def put_tree(self, bucket, prefix, folder):
        files = [os.path.relpath(os.path.join(at, name), folder)
                 for at, _, names in os.walk(folder) for name in names]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda f: self.put_file(bucket, prefix + f, os.path.join(folder, f)),
                          files))
        return len(files)

    def get(self, bucket, key, path):
        self.s3.download_file(bucket, key, path)

    def head(self, bucket, key):
        answer = self.s3.head_object(Bucket=bucket, Key=key)
        return {"size": answer["ContentLength"], "etag": answer["ETag"],
                "type": answer["ContentType"], "encoding": answer.get("ContentEncoding")}

    def list(self, bucket, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [o["Key"] for page in pages for o in page.get("Contents", [])]

    def delete(self, bucket, key):
        self.s3.delete_object(Bucket=bucket, Key=key)

    def uploads(self, bucket):
        """Keys of multipart uploads that were begun and neither finished nor aborted."""
        return [u["Key"] for u in
                self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    def user(self, name, actions, resources):
        """A user who may do ACTIONS on RESOURCES: its key and secret."""
        iam = client("iam", self.address, self.key, self.secret)
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="test", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": actions, "Resource": resources}]}))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return [key["AccessKeyId"], key["SecretAccessKey"]]

    def session(self, name, actions, resources):
        """A role's session with the same rights: its key, secret and token."""
        iam = client("iam", self.address, self.key, self.secret)
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": actions, "Resource": resources}]}))
        got = client("sts", self.address, self.key, self.secret).assume_role(
            RoleArn=role["Role"]["Arn"], RoleSessionName=name)["Credentials"]
        return [got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"]]


class Azure:
    def __init__(self, address, account, key):
        from azure.storage.blob import BlobServiceClient
        self.account, self.key = account, key
        self.service = BlobServiceClient(f"{address}/{account}", credential=key)

    def bucket(self, name):
        self.service.create_container(name)

    def put(self, container, key, path):
        with open(path, "rb") as content:
            return self.service.get_blob_client(container, key).upload_blob(
                content, overwrite=True)["etag"]

    put_file = put
    put_tree = S3.put_tree

    def get(self, container, key, path):
        with open(path, "wb") as content:
            self.service.get_blob_client(container, key).download_blob().readinto(content)

    def head(self, container, key):
        answer = self.service.get_blob_client(container, key).get_blob_properties()
        return {"size": answer.size, "etag": answer.etag,
                "type": answer.content_settings.content_type,
                "encoding": answer.content_settings.content_encoding}

    def list(self, container, prefix=""):
        blobs = self.service.get_container_client(container).list_blobs(name_starts_with=prefix)
        return [blob.name for blob in blobs]

    def delete(self, container, key):
        self.service.get_blob_client(container, key).delete_blob()

    def uploads(self, container):
        """Blobs that have blocks and no list of them: begun, not committed."""
        blobs = self.service.get_container_client(container).list_blobs(
            include=["uncommittedblobs"])
        return [blob.name for blob in blobs if blob.size == 0 and not blob.etag]

    def sas(self, container, permission, hours=1):
        """A shared access signature of the container, e.g. "rl" to read and list."""
        from datetime import datetime, timedelta, timezone
        from azure.storage.blob import generate_container_sas
        return generate_container_sas(
            self.account, container, account_key=self.key, permission=permission,
            expiry=datetime.now(timezone.utc) + timedelta(hours=hours))


def main():
    kind, *where = sys.argv[1:]
    server = {"s3": S3, "azure": Azure}[kind](*where)
    for line in sys.stdin:
        command, *args = json.loads(line)
        try:
            answer = {"ok": getattr(server, command)(*args)}
        except Exception as error:
            answer = {"error": f"{command}: {error}"}
        print(json.dumps(answer), flush=True)


main()
