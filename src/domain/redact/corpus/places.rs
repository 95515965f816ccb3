//! Where secrets stand in what agents read, write and run, and how such text is dressed up on the way.
//!
//! `{V}` is the secret, `{J}` the secret inside a JSON string, `{I}` the secret with its lines indented; `{H}`
//! is an object id, `{U}` a UUID and `{N}` a name that is not about secrets.

use super::secrets::encode;
use super::{BASE64, Dice, HEX, LOWER, Secret};

pub(super) type Place = (&'static str, &'static str);
type Dress = fn(&str, &Secret, &mut Dice) -> Option<String>;

/// Places that say nothing about the secret, for those with a shape of their own.
pub(super) const OPEN: &[Place] = &[
    ("by itself", "{V}"),
    ("shell output", "$ ./scripts/{N}.sh\nusing {V} for {U}\ndone in 1.24s\n$ git rev-parse HEAD\n{H}\n"),
    ("echo into a pipe", "$ echo {V} | docker login ghcr.io -u me --password-stdin\nLogin Succeeded\n"),
    ("argument", "npx deploy-{N} --site {U} --auth={V} --prod\n"),
    ("call in code", "    client = {N}.Client(\"{V}\", region=\"eu-west-1\")  # {H}\n    client.ping()\n"),
    ("constant in code", "static {N}: &str = \"{V}\";\n\nfn main() {\n    println!(\"{H}\");\n}\n"),
    ("JSON", "{\n  \"id\": \"{U}\",\n  \"{N}\": \"{V}\",\n  \"sha\": \"{H}\"\n}\n"),
    ("YAML", "jobs:\n  {N}:\n    with:\n      value: {V}\n      ref: {H}\n"),
    ("TOML", "[{N}]\nid = \"{U}\"\nvalue = '{V}'\n"),
    ("sentence", "I have put {V} into the settings, as you asked for in {H}.\n"),
    ("end of a sentence", "The one you want is {V}. It was made for {U}.\n"),
    ("markdown", "| name | value |\n|---|---|\n| {N} | `{V}` |\n\nSee {H}.\n"),
    ("log line", "2026-03-04T05:06:07.123Z INFO {N}: connected ({V}) request={U}\n"),
    ("query", "GET /v1/{N}?client={V}&page=2 HTTP/1.1\r\nHost: api.example.com\r\nAccept: */*\r\n\r\n"),
    ("CSV", "id,{N},created\n{U},{V},2026-01-02\n"),
    ("XML", "<settings>\n  <{N}>{V}</{N}>\n  <id>{U}</id>\n</settings>\n"),
    (
        "traceback",
        "Traceback (most recent call last):\n  File \"{N}.py\", line 7, in <module>\n    run('{V}')\nValueError: ('{V}', 401)\n",
    ),
    (
        "diff",
        "diff --git a/{N} b/{N}\nindex 1a2b3c4..5d6e7f8 100644\n--- a/{N}\n+++ b/{N}\n@@ -1 +1 @@\n-old\n+{V}\n",
    ),
];

/// Whole files that hold a block of several lines.
pub(super) const BLOCKS: &[Place] = &[
    ("by itself", "{V}"),
    ("cat of a file", "$ cat ~/.ssh/{N}\n{V}\n$ git rev-parse HEAD\n{H}\n"),
    ("here document", "cat > {N}.pem <<'EOF'\n{V}\nEOF\nchmod 600 {N}.pem\n"),
    ("JSON", "{\n  \"id\": \"{U}\",\n  \"{N}\": \"{J}\\n\",\n  \"sha\": \"{H}\"\n}\n"),
    ("environment file", "A=1\nDEPLOY_CERT=\"{J}\\n\"\nB={H}\n"),
    ("YAML block", "stringData:\n  {N}: |\n    {I}\nkind: Secret\n"),
    ("code", "const {N} = `{V}`;\nexport default {N};\n"),
    (
        "after a certificate",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUU0\n-----END CERTIFICATE-----\n{V}\n",
    ),
];

pub(super) const SERVICE_ACCOUNT: &[Place] = &[
    (
        "service account file",
        "{\n  \"type\": \"service_account\",\n  \"project_id\": \"{N}\",\n  \"private_key_id\": \"{H}\",\n  \"private_key\": \"{J}\\n\",\n  \"client_email\": \"ci@{N}.iam.gserviceaccount.com\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\"\n}\n",
    ),
    (
        "service account on one line",
        "GOOGLE_APPLICATION_CREDENTIALS_JSON='{\"type\":\"service_account\",\"project_id\":\"{N}\",\"private_key_id\":\"{H}\",\"private_key\":\"{J}\\n\",\"client_email\":\"ci@{N}.iam.gserviceaccount.com\"}'\n",
    ),
];

pub(super) const AWS: &[Place] = &[
    (
        "AWS credentials file",
        "[default]\nregion = eu-west-1\naws_secret_access_key = {V}\n[{N}]\nregion = us-east-1\n",
    ),
    (
        "exported variable",
        "export AWS_DEFAULT_REGION=eu-west-1\nexport AWS_SECRET_ACCESS_KEY={V}\naws s3 ls\n",
    ),
    (
        "sts output",
        "{\n    \"Credentials\": {\n        \"AccessKeyId\": \"{N}\",\n        \"SecretAccessKey\": \"{V}\",\n        \"Expiration\": \"2026-01-02T03:04:05+00:00\"\n    }\n}\n",
    ),
    (
        "create-access-key output",
        "{\n    \"AccessKey\": {\n        \"UserName\": \"{N}\",\n        \"Status\": \"Active\",\n        \"SecretAccessKey\": \"{V}\",\n        \"CreateDate\": \"2026-01-02T03:04:05Z\"\n    }\n}\n",
    ),
    ("aws configure", "$ aws configure set aws_secret_access_key {V} --profile {N}\n"),
    (
        "aws configure by hand",
        "AWS Access Key ID [None]: \nAWS Secret Access Key [None]: {V}\nDefault region name [None]: eu-west-1\n",
    ),
    (
        "boto",
        "s3 = boto3.client(\n    \"s3\",\n    aws_secret_access_key=\"{V}\",\n    region_name=\"eu-west-1\",\n)\n",
    ),
    ("Terraform provider", "provider \"aws\" {\n  region     = \"eu-west-1\"\n  secret_key = \"{V}\"\n}\n"),
    ("JavaScript client", "new S3Client({ credentials: { accessKeyId: id, secretAccessKey: \"{V}\" } });\n"),
    ("Java system property", "java -Daws.secretKey={V} -jar {N}.jar\n"),
    ("CSV of the console", "Access key ID,Secret access key\n,{V}\n"),
    (
        "workflow",
        "      - uses: aws-actions/configure-aws-credentials@v4\n        with:\n          aws-secret-access-key: {V}\n          aws-region: eu-west-1\n",
    ),
];

pub(super) const AWS_SESSION: &[Place] = &[
    ("AWS credentials file", "[default]\naws_session_token = {V}\nregion = eu-west-1\n"),
    ("exported variable", "export AWS_SESSION_TOKEN=\"{V}\"\nexport AWS_REGION=eu-west-1\n"),
    (
        "sts output",
        "{\n    \"Credentials\": {\n        \"SessionToken\": \"{V}\",\n        \"Expiration\": \"2026-01-02T03:04:05+00:00\"\n    }\n}\n",
    ),
    ("header", "X-Amz-Security-Token: {V}\r\nX-Amz-Date: 20260102T030405Z\r\n"),
];

pub(super) const AZURE_STORAGE: &[Place] = &[
    (
        "connection string",
        "DefaultEndpointsProtocol=https;AccountName={N};AccountKey={V}==;EndpointSuffix=core.windows.net\n",
    ),
    (
        "connection string in JSON",
        "{\"AzureWebJobsStorage\": \"DefaultEndpointsProtocol=https;AccountName={N};AccountKey={V}==\"}\n",
    ),
    ("az storage", "az storage blob list --account-name {N} --account-key {V}== --container-name x\n"),
    ("Cosmos connection string", "AccountEndpoint=https://{N}.documents.azure.com:443/;AccountKey={V}==;\n"),
];

pub(super) const AZURE_BUS: &[Place] = &[
    (
        "service bus",
        "Endpoint=sb://{N}.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={V}=\n",
    ),
    ("IoT hub", "HostName={N}.azure-devices.net;DeviceId=d1;SharedAccessKey={V}=\n"),
];

pub(super) const AZURE_SAS: &[Place] = &[
    (
        "SAS address",
        "https://{N}.blob.core.windows.net/c/b.txt?sv=2022-11-02&st=2026-01-02T03%3A04%3A05Z&sr=b&sp=r&sig={V}%3D\n",
    ),
    ("SAS token", "sas=\"se=2026-01-02&sp=rl&sv=2022-11-02&sr=c&sig={V}%3D\"\n"),
    ("SAS in JSON", "{\"url\":\"https://{N}.blob.core.windows.net/c?sv=2022-11-02\\u0026sig={V}%3D\"}\n"),
    ("azcopy", "azcopy copy './x' 'https://{N}.blob.core.windows.net/c?sp=w&sig={V}%3D&sv=2022-11-02'\n"),
];

pub(super) const NPMRC: &[Place] = &[
    (
        ".npmrc",
        "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken={V}\nalways-auth=true\n",
    ),
    ("npm config", "npm config set //npm.example.com/:_authToken {V}\nnpm publish\n"),
    ("npm config with =", "npm config set //npm.example.com/:_authToken={V}\n"),
    (".yarnrc.yml", "npmScopes:\n  {N}:\n    npmAuthToken: {V}\n"),
];

pub(super) const DISCORD: &[Place] = &[
    ("call by position", "client.login(\"{V}\");\n"),
    ("variable", "DISCORD_TOKEN={V}\n"),
    ("header", "Authorization: Bot {V}\n"),
];

pub(super) const SQUARE: &[Place] = &[
    ("variable", "SQUARE_ACCESS_TOKEN={V}\n"),
    ("client", "Client(access_token='{V}', environment='sandbox')\n"),
];

pub(super) const MAILGUN: &[Place] = &[
    ("curl", "curl -s --user 'api:{V}' https://api.mailgun.net/v3/{N}/messages\n"),
    ("variable", "MAILGUN_API_KEY={V}\n"),
];

pub(super) const URLS: &[Place] = &[
    ("postgres", "DATABASE_URL=postgres://app:{V}@db.internal:5432/{N}?sslmode=require\n"),
    ("mysql", "mysql://root:{V}@127.0.0.1:3306/{N}\n"),
    (
        "mongodb",
        "mongoose.connect(\"mongodb+srv://app:{V}@cluster0.x1.mongodb.net/{N}?retryWrites=true\");\n",
    ),
    ("redis", "REDIS_URL=redis://:{V}@cache:6379/0\n"),
    ("amqp", "  broker: amqps://app:{V}@mq.internal:5671/vhost\n"),
    ("git remote", "origin\thttps://ci:{V}@git.example.com/me/{N}.git (fetch)\n"),
    ("pip index", "index-url = https://me:{V}@pypi.example.com/simple/\n"),
    ("proxy", "export HTTPS_PROXY=http://me:{V}@proxy.example.com:3128\n"),
    ("sqlalchemy", "engine = create_engine('postgresql+psycopg2://app:{V}@localhost/{N}')\n"),
    ("git-credentials", "https://me:{V}@github.com\n"),
    ("JDBC", "jdbc:postgresql://db.internal/{N}?user=app&password={V}&ssl=true\n"),
    ("smtp", "EMAIL_URL=smtp+tls://me%40example.com:{V}@smtp.example.com:587\n"),
    ("sentry", "SENTRY_DSN=https://public:{V}@o1.ingest.sentry.io/1\n"),
    (
        "error",
        "fatal: unable to access 'https://me:{V}@git.example.com/{N}.git/': The requested URL returned error: 403\n",
    ),
    ("JSON", "{\"url\":\"amqp://app:{V}@mq/\",\"sha\":\"{H}\"}\n"),
];

pub(super) const URL_TOKENS: &[Place] = &[
    ("git clone", "git clone https://{V}@github.com/me/{N}.git\n"),
    ("access token user", "git remote set-url origin https://x-access-token:{V}@github.com/me/{N}\n"),
    ("oauth2 user", "url = https://oauth2:{V}@gitlab.example.com/me/{N}.git\n"),
    ("basic without password", "https://{V}:x-oauth-basic@github.com/me/{N}.git\n"),
    ("empty password", "https://{V}:@api.example.com/v1\n"),
];

pub(super) const BEARER: &[Place] = &[
    (
        "request",
        "GET /v1/{N} HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {V}\r\nX-Request-Id: {U}\r\n\r\n",
    ),
    ("curl", "curl -sS -H \"Authorization: Bearer {V}\" https://api.example.com/{N}\n"),
    ("curl, single quotes", "curl -H 'authorization: Bearer {V}' -X POST https://api.example.com/{N}\n"),
    ("curl --header=", "curl --header=\"Authorization: Token {V}\" https://api.example.com/{N}\n"),
    ("curl -v", "> GET /{N} HTTP/2\n> Host: api.example.com\n> Authorization: Bearer {V}\n>\n< HTTP/2 200\n"),
    ("HTTPie", "http GET api.example.com/{N} 'Authorization:Bearer {V}'\n"),
    ("fetch", "fetch(url, { headers: { Authorization: `Bearer {V}` } });\n"),
    ("requests", "requests.get(url, headers={\"Authorization\": \"Bearer {V}\", \"Accept\": \"*/*\"})\n"),
    ("requests, token", "headers = {'Authorization': 'token {V}'}\n"),
    ("Go", "req.Header.Set(\"Authorization\", \"Bearer {V}\")\n"),
    ("Java", ".header(\"Authorization\", \"Bearer {V}\")\n"),
    ("header in an array", "[[\"authorization\", \"Bearer {V}\"], [\"x-request-id\", \"{U}\"]]\n"),
    ("HAR", "{\"name\": \"Authorization\", \"value\": \"Bearer {V}\"}\n"),
    ("no scheme", "Authorization: {V}\r\nAccept: */*\r\n"),
    ("git extra header", "git -c http.extraheader=\"AUTHORIZATION: bearer {V}\" fetch\n"),
    ("proxy", "Proxy-Authorization: Bearer {V}\r\n"),
    ("gRPC metadata", "grpcurl -H 'authorization: Bearer {V}' localhost:443 list\n"),
    ("configuration", "mcpServers:\n  {N}:\n    headers:\n      Authorization: Bearer {V}\n"),
];

pub(super) const BASIC: &[Place] = &[
    ("request", "GET /{N} HTTP/1.1\r\nAuthorization: Basic {V}\r\nHost: example.com\r\n\r\n"),
    ("curl", "curl -H 'Authorization: Basic {V}' https://example.com/{N}\n"),
    ("JSON", "{\"headers\":{\"Authorization\":\"Basic {V}\"},\"sha\":\"{H}\"}\n"),
    ("git extra header", "[http \"https://github.com/\"]\n\textraheader = AUTHORIZATION: basic {V}\n"),
    (".npmrc", "//npm.example.com/:_auth={V}\nregistry=https://npm.example.com/\n"),
    (".npmrc password", "//npm.example.com/:username=me\n//npm.example.com/:_password={V}\n"),
];

pub(super) const KEY_HEADERS: &[Place] = &[
    ("x-api-key", "curl https://api.example.com/{N} -H 'x-api-key: {V}' -d @b.json\n"),
    ("request", "POST /{N} HTTP/1.1\r\nX-Api-Key: {V}\r\nX-Request-Id: {U}\r\n\r\n"),
    ("api-key of Azure", "curl https://{N}.openai.azure.com/ -H \"api-key: {V}\"\n"),
    ("subscription key", "Ocp-Apim-Subscription-Key: {V}\r\nHost: api.example.com\r\n"),
    ("PRIVATE-TOKEN", "curl --header \"PRIVATE-TOKEN: {V}\" https://gitlab.example.com/api/v4/{N}\n"),
    ("JOB-TOKEN", "curl -H \"JOB-TOKEN: {V}\" https://gitlab.example.com/api/v4/{N}\n"),
    ("vault", "curl -H \"X-Vault-Token: {V}\" https://vault.example.com/v1/{N}\n"),
    ("Datadog", "DD-API-KEY: {V}\r\nDD-APPLICATION-KEY: {V}\r\n"),
    ("X-Auth-Token", "X-Auth-Token: {V}\r\n"),
    (
        "X-Auth-Key",
        "curl -H \"X-Auth-Email: me@example.com\" -H \"X-Auth-Key: {V}\" https://api.cloudflare.com/client/v4/{N}\n",
    ),
    ("x-goog-api-key", "curl -H 'x-goog-api-key: {V}' https://example.googleapis.com/{N}\n"),
    ("X-CSRF", "X-CSRF-Token: {V}\r\nAccept: */*\r\n"),
    ("query", "GET /v1/{N}?api_key={V}&page=2 HTTP/1.1\n"),
    ("query, access_token", "https://graph.example.com/me?fields=id&access_token={V}\n"),
    ("query, key", "https://maps.example.com/api/js?key={V}&callback=init\n"),
    ("form", "grant_type=client_credentials&client_id={U}&client_secret={V}\n"),
];

pub(super) const COOKIES: &[Place] = &[
    ("request", "GET / HTTP/1.1\r\nCookie: theme=dark; sessionid={V}; lang=en\r\nHost: example.com\r\n"),
    (
        "response",
        "HTTP/1.1 200 OK\r\nSet-Cookie: session={V}; Path=/; HttpOnly; Secure\r\nContent-Length: 2\r\n",
    ),
    ("curl -H", "curl -H 'Cookie: session={V}' https://example.com/{N}\n"),
    ("curl -b", "curl -b 'session={V}' https://example.com/{N}\n"),
    ("curl --cookie", "curl --cookie \"sid={V}; a=b\" https://example.com/{N}\n"),
    ("JSON", "{\"headers\":{\"cookie\":\"sid={V}\"},\"id\":\"{U}\"}\n"),
    ("cookie jar", "# Netscape HTTP Cookie File\n.example.com\tTRUE\t/\tTRUE\t1790000000\tsessionid\t{V}\n"),
];

pub(super) const DOCKER: &[Place] = &[
    (
        "docker config",
        "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"{V}\"\n\t\t}\n\t}\n}\n",
    ),
    ("identity token", "{\"auths\":{\"ghcr.io\":{\"identitytoken\":\"{V}\"}}}\n"),
    (
        "pull secret",
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: {V}\n",
    ),
];

pub(super) const COMMANDS: &[Place] = &[
    ("psql", "$ PGPASSWORD='{V}' psql -h db -U app {N} -c 'select 1'\n"),
    ("psql string", "psql \"host=db user=app password={V} dbname={N}\"\n"),
    ("mysql --password", "mysql -u root --password='{V}' {N} < dump.sql\n"),
    ("mysql -p", "mysql -h db -u root -p'{V}' {N} -e 'show tables'\n"),
    ("mysqldump -p", "mysqldump -uroot -p{V} {N} > dump.sql\n"),
    ("sshpass", "sshpass -p '{V}' ssh root@host uptime\n"),
    ("redis-cli", "redis-cli -h cache -a '{V}' ping\n"),
    ("curl -u", "curl -u 'admin:{V}' https://example.com/{N}\n"),
    ("curl -u late", "curl -sSf -X PUT https://example.com/{N} -u admin:{V} -T file\n"),
    ("curl -u glued", "curl -uadmin:{V} https://example.com/{N}\n"),
    ("wget", "wget --user=me --password='{V}' https://example.com/{N}\n"),
    ("HTTPie", "http -a 'me:{V}' https://example.com/{N}\n"),
    ("openssl -passin", "openssl rsa -in {N}.key -passin 'pass:{V}' -out x.key\n"),
    ("openssl -k", "openssl enc -d -aes-256-cbc -pass pass:{V} -in x.enc\n"),
    ("docker login", "docker login -u me -p '{V}' registry.example.com\n"),
    ("docker -e", "docker run --rm -e POSTGRES_PASSWORD='{V}' -p 5432:5432 postgres:16\n"),
    ("docker build", "docker build --build-arg NPM_TOKEN={V} -t {N} .\n"),
    ("kubectl", "kubectl create secret generic db --from-literal=password='{V}' -n {N}\n"),
    ("helm", "helm upgrade {N} ./chart --set auth.password='{V}'\n"),
    ("heroku", "heroku config:set DB_PASSWORD='{V}' -a {N}\n"),
    ("gh secret", "gh secret set DEPLOY_PASSWORD --body '{V}' -R me/{N}\n"),
    ("ssm", "aws ssm put-parameter --name /prod/{N}/db_password --type SecureString --value '{V}'\n"),
    ("secretsmanager", "aws secretsmanager create-secret --name {N} --secret-string '{V}'\n"),
    ("vault kv", "vault kv put secret/{N} password='{V}'\n"),
    ("useradd", "echo 'deploy:{V}' | chpasswd\n"),
    ("sudo -S", "echo '{V}' | sudo -S apt-get install -y jq\n"),
    ("keytool", "keytool -genkey -keystore {N}.jks -storepass '{V}' -keypass '{V}'\n"),
    ("sed", "sed -i 's/^DB_PASSWORD=.*/DB_PASSWORD={V}/' .env\n"),
    ("ps", "root  4211  0.1  2.3  mysqld --user=mysql --password={V} --port=3306\n"),
    ("PowerShell", "$cred = ConvertTo-SecureString '{V}' -AsPlainText -Force\n"),
    ("setx", "setx DB_PASSWORD \"{V}\" /M\n"),
    ("fish", "set -gx DB_PASSWORD '{V}'\n"),
    ("zip", "zip -P '{V}' -r {N}.zip dir\n"),
    ("expect", "expect \"assword:\"\nsend \"{V}\\r\"\n"),
    ("SQL", "CREATE USER app WITH PASSWORD '{V}';\n"),
    ("SQL, MySQL", "ALTER USER 'app'@'%' IDENTIFIED BY '{V}';\n"),
    ("SQL, with a plugin", "CREATE USER a IDENTIFIED WITH mysql_native_password BY '{V}';\n"),
];

pub(super) const ENVIRONMENT: &[Place] = &[
    ("cat .env", "$ cat .env\nNODE_ENV=production\nPORT=3000\nDB_PASSWORD={V}\nGIT_SHA={H}\n"),
    ("quoted", "NODE_ENV=production\nJWT_SECRET=\"{V}\"\nAPP_NAME={N}\n"),
    ("first line", "ADMIN_PASSWORD={V}\nPORT=3000\n"),
    ("last line", "PORT=3000\nADMIN_PASSWORD={V}"),
    ("blanks around the sign", "PORT = 3000\nADMIN_PASSWORD = {V}\n"),
    ("comment behind", "SESSION_SECRET={V} # rotate\nPORT=1\n"),
    ("commented out", "# SMTP_PASSWORD={V}\nPORT=1\n"),
    ("export", "export PORT=3000\nexport SMTP_PASSWORD='{V}'\n"),
    ("Laravel", "APP_ENV=local\nAPP_KEY=base64:{V}\nAPP_DEBUG=true\n"),
    ("Django", "SECRET_KEY = '{V}'\nDEBUG = True\n"),
    ("Rails", "production:\n  secret_key_base: {V}\n  host: {N}\n"),
    ("pass", "DB_USER=app\nDB_PASS={V}\nDB_HOST=db\n"),
    ("pwd", "DB_USER=app\nMYSQL_PWD={V}\nDB_HOST=db\n"),
    ("salt", "AUTH_SALT={V}\nNODE_ENV=test\n"),
    ("encryption key", "ENCRYPTION_KEY={V}\nLOG_LEVEL=info\n"),
    ("printenv", "SHELL=/bin/bash\nPWD=/home/me/{N}\nPOSTGRES_PASSWORD={V}\nLANG=C.UTF-8\n"),
    (
        "declare -x",
        "declare -x LANG=\"C.UTF-8\"\ndeclare -x GRAFANA_ADMIN_PASSWORD=\"{V}\"\ndeclare -x TERM=\"xterm\"\n",
    ),
    ("systemd", "[Service]\nEnvironment=\"API_SECRET={V}\" \"PORT=1\"\nExecStart=/usr/bin/{N}\n"),
    (
        "docker inspect",
        "\"Env\": [\n    \"PATH=/usr/bin\",\n    \"REDIS_PASSWORD={V}\",\n    \"GIT_SHA={H}\"\n],\n",
    ),
    (
        "compose",
        "services:\n  db:\n    environment:\n      - POSTGRES_USER=app\n      - POSTGRES_PASSWORD={V}\n    image: postgres:16\n",
    ),
    (
        "compose, a map",
        "    environment:\n      POSTGRES_USER: app\n      POSTGRES_PASSWORD: {V}\n    image: postgres:16\n",
    ),
    ("Dockerfile", "FROM node:22\nENV DB_PASSWORD={V}\nENV PORT=1 SESSION_SECRET={V}\n"),
];

/// Ways to give a name a value.
pub(super) const NAMED: &[Place] = &[
    ("shell", "API_TOKEN={V} ./{N}.sh --verbose\n"),
    ("export", "export CLIENT_SECRET=\"{V}\"\nexport PORT=1\n"),
    ("PowerShell", "$env:API_TOKEN = '{V}'\n"),
    ("JSON", "{\n  \"client_id\": \"{U}\",\n  \"client_secret\": \"{V}\",\n  \"sha\": \"{H}\"\n}\n"),
    ("JSON, compact", "{\"id\":\"{U}\",\"apiKey\":\"{V}\",\"sha\":\"{H}\"}"),
    (
        "JSON, OAuth answer",
        "{\"access_token\":\"{V}\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"scope\":\"read\"}",
    ),
    ("JSON, refresh", "{\"expires_in\":3600,\"refresh_token\":\"{V}\"}"),
    ("YAML", "{N}:\n  api_key: {V}\n  id: {U}\n"),
    ("YAML, quoted", "{N}:\n  webhook_secret: '{V}'\n  id: {U}\n"),
    ("YAML, folded", "{N}:\n  signing_secret: >-\n    {V}\n  id: {U}\n"),
    (
        "YAML list",
        "env:\n  - name: SLACK_SIGNING_SECRET\n    value: \"{V}\"\n  - name: PORT\n    value: \"1\"\n",
    ),
    (
        "secret of Kubernetes",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  uid: {U}\nstringData:\n  api-token: {V}\n",
    ),
    ("TOML", "[{N}]\napi_token = \"{V}\"\nid = \"{U}\"\n"),
    ("TOML, bare key", "[registries.{N}]\ntoken = \"{V}\"\n"),
    ("INI", "[{N}]\nsecret_key = {V}\nid = {U}\n"),
    ("INI, tight", "[{N}]\napi_key={V}\nid={U}\n"),
    ("properties", "app.id={U}\napp.jwt.secret={V}\n"),
    ("properties, colon", "app.client-secret: {V}\n"),
    ("gradle", "ossrhToken={V}\norg.gradle.jvmargs=-Xmx2g\n"),
    ("XML attribute", "<add key=\"ApiSecret\" value=\"{V}\" />\n<add key=\"Id\" value=\"{U}\" />\n"),
    ("XML element", "<server>\n  <apiToken>{V}</apiToken>\n  <id>{U}</id>\n</server>\n"),
    (
        "Terraform",
        "variable \"x\" {}\nresource \"a\" \"b\" {\n  api_token = \"{V}\"\n  id        = \"{U}\"\n}\n",
    ),
    (
        "Terraform state",
        "          \"attributes\": {\n            \"client_secret\": \"{V}\",\n            \"id\": \"{U}\"\n",
    ),
    ("Python", "API_KEY = \"{V}\"\nsession = {N}(API_KEY)\n"),
    ("Python, keyword", "client = {N}(api_key='{V}', timeout=3)\n"),
    ("Python, environ", "os.environ['API_TOKEN'] = '{V}'\n"),
    ("Python, setdefault", "os.environ.setdefault(\"API_TOKEN\", \"{V}\")\n"),
    ("Python, getenv", "key = os.getenv(\"API_SECRET_KEY\", \"{V}\")\n"),
    ("Python, repr", "{'id': '{U}', 'auth_token': '{V}', 'n': 1}\n"),
    ("JavaScript", "const apiKey = '{V}';\nconst id = '{U}';\n"),
    ("JavaScript, object", "module.exports = { clientSecret: \"{V}\", id: '{U}' };\n"),
    ("JavaScript, fallback", "const apiSecret = process.env.API_SECRET || '{V}';\n"),
    ("TypeScript", "export const authToken: string = \"{V}\";\n"),
    ("Go", "const apiToken = \"{V}\"\nvar id = \"{U}\"\n"),
    ("Go, short", "\tapiToken := \"{V}\"\n"),
    ("Go, field", "\treturn Config{APIKey: \"{V}\", ID: \"{U}\"}\n"),
    ("Go, Setenv", "\tos.Setenv(\"API_TOKEN\", \"{V}\")\n"),
    ("Rust", "const API_TOKEN: &str = \"{V}\";\n"),
    ("Rust, let", "    let client_secret = String::from(\"{V}\");\n"),
    ("Rust, builder", "    Client::builder().api_key(\"{V}\").build()\n"),
    ("Rust, Debug", "Config { id: \"{U}\", api_key: \"{V}\", n: 1 }\n"),
    ("Java", "private static final String API_SECRET = \"{V}\";\n"),
    ("Java, property", "props.setProperty(\"api.secret\", \"{V}\");\n"),
    ("Java, setter", "config.setClientSecret(\"{V}\");\n"),
    ("C#", "var options = new Options { ClientSecret = \"{V}\", Id = \"{U}\" };\n"),
    ("C", "#define API_SECRET \"{V}\"\n"),
    ("C, array", "static const char api_token[] = \"{V}\";\n"),
    ("PHP", "define('AUTH_SECRET', '{V}');\n"),
    ("PHP, array", "    'client_secret' => '{V}',\n    'id' => '{U}',\n"),
    ("PHP, variable", "$api_key = \"{V}\";\n"),
    ("Ruby", "config.secret_key = '{V}'\nconfig.id = '{U}'\n"),
    ("Ruby, hash", "{:id=>\"{U}\", :api_token=>\"{V}\"}\n"),
    ("Ruby, ENV", "ENV['API_TOKEN'] ||= '{V}'\n"),
    ("Elixir", "config :app, {N}, secret_key_base: \"{V}\"\n"),
    ("Kotlin", "val apiKey = \"{V}\"\n"),
    ("Swift", "let clientSecret: String = \"{V}\"\n"),
    ("Nix", "  services.{N}.apiToken = \"{V}\";\n"),
    ("Lua", "local api_key = '{V}'\n"),
    ("R", "Sys.setenv(API_TOKEN = \"{V}\")\n"),
    ("Makefile", "API_TOKEN ?= {V}\nall: {N}\n"),
    ("flag", "{N} --api-key {V} --id {U}\n"),
    ("flag with =", "{N} --client-secret={V} --id={U}\n"),
    ("flags in JSON", "{\"args\": [\"--api-key\", \"{V}\", \"--id\", \"{U}\"]}\n"),
    ("query", "https://example.com/cb?state=1&client_secret={V}&id=1\n"),
    ("log, key=value", "level=info msg=\"login\" token={V} id={U}\n"),
    ("log, JSON", "{\"level\":\"info\",\"msg\":\"login\",\"sessionToken\":\"{V}\",\"id\":\"{U}\"}\n"),
    ("log, words", "2026-01-02 03:04:05 DEBUG using api key: {V}\n"),
    ("gh hosts", "github.com:\n    user: me\n    oauth_token: {V}\n    git_protocol: https\n"),
    ("git config", "[{N}]\n\ttoken = {V}\n[user]\n\tname = me\n"),
    (".netrc", "machine api.example.com\n  login me\n  password {V}\n"),
    (".netrc on one line", "machine api.example.com login me password {V}\n"),
    ("connection string", "Endpoint=https://{N}.example.com;AccessKey={V};Version=1.0;\n"),
    ("GraphQL", "mutation { login(apiKey: \"{V}\") { id } }\n"),
    ("multipart", "--x\r\nContent-Disposition: form-data; name=\"client_secret\"\r\n\r\n{V}\r\n--x--\r\n"),
    ("table", "| API_TOKEN | {V} |\n| ID | {U} |\n"),
];

/// Ways to give a password, which may be a word, to a name.
pub(super) const PASSWORDS: &[Place] = &[
    ("JSON", "{\"user\":\"me\",\"password\":\"{V}\",\"id\":\"{U}\"}"),
    ("JSON, pretty", "{\n  \"username\": \"me\",\n  \"password\": \"{V}\"\n}\n"),
    ("YAML", "database:\n  username: app\n  password: {V}\n  host: db\n"),
    ("YAML, quoted", "database:\n  password: \"{V}\"\n"),
    ("TOML", "[db]\nuser = \"app\"\npassword = \"{V}\"\n"),
    ("INI", "[client]\nuser=root\npassword={V}\n"),
    ("INI, blanks", "[client]\nuser = root\npassword = {V}\n"),
    ("Spring", "spring.datasource.username=app\nspring.datasource.password={V}\n"),
    ("Maven", "<server>\n  <username>me</username>\n  <password>{V}</password>\n</server>\n"),
    ("ADO", "Server=db;Database={N};User Id=sa;Password={V};Encrypt=true;\n"),
    ("ADO, Pwd", "\"Default\": \"Server=db;Uid=sa;Pwd={V};\"\n"),
    ("form", "username=me&password={V}&remember=1\n"),
    ("Python", "conn = connect(host='db', user='app', password='{V}')\n"),
    ("Django", "        'USER': 'app',\n        'PASSWORD': '{V}',\n        'HOST': 'db',\n"),
    ("JavaScript", "const pool = new Pool({ user: 'app', password: '{V}', port: 5432 });\n"),
    ("Go", "\tcfg := Config{User: \"app\", Password: \"{V}\"}\n"),
    ("Java", "dataSource.setPassword(\"{V}\");\n"),
    ("C#, by position", "client.Credentials = new NetworkCredential(\"me\", \"{V}\");\n"),
    ("WordPress", "define( 'DB_PASSWORD', '{V}' );\n"),
    ("Ruby hash", "{\"user\"=>\"me\", \"password\"=>\"{V}\"}\n"),
    ("sentence", "The admin password is {V}\n"),
    ("sentence with a colon", "Login as admin, password: {V}\n"),
    ("Ansible", "ansible_user: me\nansible_password: {V}\nansible_become_pass: {V}\n"),
    ("Kubernetes", "stringData:\n  username: app\n  password: {V}\n"),
    ("Go dump", "{User:app Password:{V} Host:db}\n"),
    ("multipart", "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{V}\r\n--x--\r\n"),
    ("wifi", "network={\n  ssid=\"home\"\n  wpa_passphrase={V}\n}\n"),
    (".pgpass", "$ cat ~/.pgpass\ndb.internal:5432:{N}:app:{V}\n"),
];

/// Puts a secret into its place.
pub(super) fn fill(template: &str, secret: &str, dice: &mut Dice) -> String {
    let uuid = [8, 4, 4, 4, 12].map(|len| dice.text(len, HEX)).join("-");
    let name =
        format!("{}{}", dice.pick::<str>(&["billing", "orders", "search", "mailer"]), dice.text(2, LOWER));
    template
        .replace("{H}", &dice.text(40, HEX))
        .replace("{U}", &uuid)
        .replace("{N}", &name)
        .replace("{J}", &escaped(secret))
        .replace("{I}", &secret.replace('\n', "\n    "))
        .replace("{V}", secret)
}

/// The inside of a JSON string.
fn escaped(text: &str) -> String {
    let json = serde_json::to_string(text).expect("strings are JSON");
    json[1..json.len() - 1].to_owned()
}

fn each_line(text: &str, mut put: impl FnMut(usize, &str) -> String) -> String {
    text.split('\n').enumerate().map(|(n, line)| put(n, line)).collect::<Vec<_>>().join("\n")
}

/// What happens to text on its way into a record.
pub(super) const DRESSES: &[(&str, Dress)] = &[
    ("as it is", |text, _, _| Some(text.to_owned())),
    ("CRLF", |text, _, _| Some(text.replace("\r\n", "\n").replace('\n', "\r\n"))),
    ("JSON string", |text, _, dice| {
        let id = dice.text(24, super::ALNUM);
        Some(format!(
            "{{\"type\":\"tool_use\",\"id\":\"toolu_{id}\",\"input\":{{\"command\":\"{}\"}}}}",
            escaped(text)
        ))
    }),
    ("JSON in JSON", |text, _, _| {
        let inner = format!("{{\"stdout\":\"{}\",\"interrupted\":false}}", escaped(text));
        Some(format!("{{\"toolUseResult\":\"{}\"}}", escaped(&inner)))
    }),
    ("numbered lines", |text, _, _| Some(each_line(text, |n, line| format!("{:>6}\u{2192}{line}", n + 1)))),
    ("added lines", |text, _, _| Some(each_line(text, |_, line| format!("+{line}")))),
    ("indented", |text, _, _| Some(each_line(text, |_, line| format!("    {line}")))),
    ("quoted", |text, _, _| Some(each_line(text, |_, line| format!("> {line}")))),
    ("container log", |text, _, _| {
        Some(each_line(text, |_, line| format!("web-1  | 2026-03-04T05:06:07Z {line}")))
    }),
    ("coloured lines", |text, _, _| {
        Some(each_line(text, |_, line| format!("\u{1b}[38;5;214m{line}\u{1b}[0m")))
    }),
    ("coloured secret", |text, secret, _| {
        let coloured =
            each_line(&secret.text, |_, line| format!("\u{1b}[01;31m\u{1b}[K{line}\u{1b}[m\u{1b}[K"));
        let out = text.replace(&secret.text, &coloured);
        (out != *text).then_some(out)
    }),
    ("coloured by syntax", |text, secret, _| {
        // Names and signs get colours of their own, as `bat` and `jq -C` give them.
        let parts: Vec<String> = text.split(&secret.text).map(highlighted).collect();
        Some(parts.join(&format!("\u{1b}[38;5;186m{}\u{1b}[0m", secret.text)))
    }),
    ("coloured in JSON", |text, secret, _| {
        let coloured = format!("\u{1b}[33m{}\u{1b}[39m", secret.text);
        Some(format!("{{\"stdout\":\"{}\"}}", escaped(&text.replace(&secret.text, &coloured))))
    }),
    ("beside UTF-8", |text, _, _| Some(format!("Prüfung — 日本語のログ\n{text}\n✓ fertig 🎉"))),
    ("glued to UTF-8", |text, secret, _| {
        let whole = text.trim() == secret.text;
        whole.then(|| format!("密钥：{}。完成", secret.text))
    }),
    ("markdown fence", |text, _, _| Some(format!("Here is what I found:\n\n```\n{text}\n```\n"))),
    ("here string", |text, _, _| {
        (!text.contains('\'')).then(|| format!("bash -c 'cat <<EOF > out\n{text}\nEOF'"))
    }),
    ("base64 beside", |text, _, dice| {
        let noise = encode(dice.text(90, LOWER).as_bytes(), BASE64);
        Some(format!("sha512-{noise}\n{text}\nsha512-{noise}"))
    }),
];

fn highlighted(text: &str) -> String {
    let mut out = String::new();
    let mut word = false;
    for c in text.chars() {
        let in_word = c.is_alphanumeric() || c == '_' || c == '-';
        if in_word != word {
            out += if in_word { "\u{1b}[38;5;81m" } else { "\u{1b}[0m" };
            word = in_word;
        }
        out.push(c);
    }
    if word {
        out += "\u{1b}[0m";
    }
    out
}
