#!/bin/sh
# Written by `python -m devstack render` from devstack/settings.py.
# Runs once, when the container makes its data folder.
set -eu
psql --username "$POSTGRES_USER" --set=password="$FEED_SVC_PASSWORD" <<-'SQL'
	CREATE ROLE feed_svc LOGIN PASSWORD :'password';
	CREATE DATABASE feed_svc OWNER feed_svc;
	REVOKE ALL ON DATABASE feed_svc FROM PUBLIC;
SQL
psql --username "$POSTGRES_USER" --set=password="$STORY_SVC_PASSWORD" <<-'SQL'
	CREATE ROLE story_svc LOGIN PASSWORD :'password';
	CREATE DATABASE story_svc OWNER story_svc;
	REVOKE ALL ON DATABASE story_svc FROM PUBLIC;
SQL
psql --username "$POSTGRES_USER" --set=password="$DM_SVC_PASSWORD" <<-'SQL'
	CREATE ROLE dm_svc LOGIN PASSWORD :'password';
	CREATE DATABASE dm_svc OWNER dm_svc;
	REVOKE ALL ON DATABASE dm_svc FROM PUBLIC;
SQL
psql --username "$POSTGRES_USER" --set=password="$MEDIA_SVC_PASSWORD" <<-'SQL'
	CREATE ROLE media_svc LOGIN PASSWORD :'password';
	CREATE DATABASE media_svc OWNER media_svc;
	REVOKE ALL ON DATABASE media_svc FROM PUBLIC;
SQL
psql --username "$POSTGRES_USER" --set=password="$S3_METADATA_PASSWORD" <<-'SQL'
	CREATE ROLE s3_metadata LOGIN PASSWORD :'password';
	CREATE DATABASE s3_metadata OWNER s3_metadata;
	REVOKE ALL ON DATABASE s3_metadata FROM PUBLIC;
SQL
