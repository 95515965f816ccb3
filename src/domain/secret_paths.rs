//! Which files hold secrets by the look of their names, so that a snapshot can say so and records leave their
//! ids out.

/// Names of files that hold nothing but secrets.
const NAMES: &[&str] = &[
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    ".vault-token",
    ".s3cfg",
    ".boto",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "credentials.yml",
    "credentials.yaml",
    "credentials.xml",
    "credentials.csv",
    "credentials.tfrc.json",
    "client_secret.json",
    "application_default_credentials.json",
    "kubeconfig",
    "master.key",
    "terraform.tfvars",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_ecdsa_sk",
    "id_ed25519_sk",
    "service-account.json",
    "service_account.json",
    "secring.gpg",
    "shadow",
];

/// Ends of names that key and password stores have.
const EXTENSIONS: &[&str] = &[
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".p8",
    ".pkcs12",
    ".jks",
    ".keystore",
    ".kdb",
    ".kdbx",
    ".ppk",
    ".agekey",
    ".ovpn",
    ".asc.key",
];

/// Files that several programs keep in directories of their own.
const PATHS: &[&str] =
    &[".aws/credentials", ".docker/config.json", ".kube/config", ".gem/credentials", ".config/gh/hosts.yml"];

/// Beginnings of names that go on with a dot, or with anything and end in `.json`.
const DOTTED: &[&str] = &["secrets", "secret"];
const JSON: &[&str] = &[
    "service-account",
    "service_account",
    "serviceaccount",
    "client_secret",
    "gcp-key",
    "firebase-adminsdk",
];

/// Ends of names that say a file only shows what a secret one looks like, or holds the public half.
const HARMLESS: &[&str] =
    &[".example", ".sample", ".template", ".dist", ".tmpl", ".tpl", ".pub", ".defaults", ".schema"];

/// Ends of the names of source code and documents, which are about secrets rather than full of them.
const SOURCES: &[&str] = &[
    ".rs", ".go", ".py", ".js", ".ts", ".tsx", ".jsx", ".java", ".kt", ".rb", ".c", ".h", ".cpp", ".cs",
    ".php", ".swift", ".md", ".html", ".css", ".sh", ".rst", ".mjs", ".proto", ".vue", ".svelte", ".scala",
    ".lua", ".ex", ".exs", ".tf",
];

/// Whether the file at `path` (bytes, parts joined by `/` or `\`) looks like one that holds secrets, by name
/// alone.
///
/// Examples and templates of such files and public keys do not.
pub fn looks_secret(path: &[u8]) -> bool {
    let path: Vec<u8> =
        path.iter().map(|byte| if *byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() }).collect();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end.as_bytes()));
    // `.env.example.local` and `.env.example` alike.
    let is_part = |word: &str| name.split(|&byte| byte == b'.').any(|part| part == &word.as_bytes()[1..]);
    if HARMLESS.iter().any(|word| is_part(word)) {
        return false;
    }
    if PATHS.iter().any(|known| is_at_end(&path, known.as_bytes()))
        || NAMES.iter().any(|known| name == known.as_bytes())
    {
        return true;
    }
    if ends(EXTENSIONS) {
        return true;
    }
    let env = name == b".env"
        || name == b".envrc"
        || name.starts_with(b".env.")
        || (name.ends_with(b".env") && name.len() > 4);
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start.as_bytes()));
    let dotted = DOTTED
        .iter()
        .any(|start| name.strip_prefix(start.as_bytes()).is_some_and(|rest| rest.starts_with(b".")));
    !ends(SOURCES) && (env || dotted || (begins(JSON) && name.ends_with(b".json")))
}

/// Whether `path` is `known` or ends in it after a `/`.
fn is_at_end(path: &[u8], known: &[u8]) -> bool {
    path.strip_suffix(known).is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_secrets_are_told_by_name() {
        let secret = [
            ".env",
            "a/.env",
            ".env.local",
            ".env.production",
            "prod.env",
            "id_rsa",
            "home/.ssh/id_ed25519",
            "tls/server.pem",
            "server.key",
            "a.p12",
            "a.pfx",
            ".netrc",
            ".npmrc",
            ".pypirc",
            "credentials",
            "credentials.json",
            "secrets.yaml",
            "config/secrets.yml",
            "secrets.json",
            "x.kdbx",
            ".git-credentials",
            ".aws/credentials",
            "service-account.json",
            "service-account-prod.json",
            "release.keystore",
            "a.jks",
            "C:\\Users\\x\\.ssh\\id_rsa",
            "Prod.PEM",
            ".kube/config",
            ".docker/config.json",
        ];
        for path in secret {
            assert!(looks_secret(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn examples_sources_and_public_keys_are_not_secret() {
        let open = [
            "",
            "/",
            ".env.example",
            ".env.sample",
            ".env.template",
            ".env.local.example",
            "src/secrets.rs",
            "secrets.py",
            "id_ed25519.pub",
            "docs/secrets.md",
            "environment.rs",
            "keys.rs",
            "src/key.rs",
            "monkey",
            "src/credentials/mod.rs",
            "config.json",
            "Cargo.lock",
            "secretary.txt",
            "kube/config",
            "my.aws/credentials.rs",
            "secrets.example.yaml",
        ];
        for path in open {
            assert!(!looks_secret(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_only_names() {
        assert!(looks_secret(b"\xff\xfe/.env"));
        assert!(!looks_secret(b"\xff\xfe"));
    }
}
