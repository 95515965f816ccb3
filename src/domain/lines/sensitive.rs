//! Which changes deserve a second look: those that decide what runs, or who may decide.

use super::table::{Op, Table};
use super::{Files, Mode};
use crate::domain::fact::values::GitPath;

/// Why a file of a proposal is sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitive {
    /// Below `.receipts/`: policy, keys, revocations.
    Trust,
    /// What a build server runs.
    Ci,
    /// `.gitattributes`, `.gitmodules` and the like: what git does with files.
    GitSettings,
    /// What runs at a commit, a push or an agent's step.
    Hook,
    /// A file that may be run, or may no longer.
    Executable,
    /// A submodule: files of another repository.
    Submodule,
    /// A symbolic link: what it leads to is not in the proposal.
    Link,
}

impl Sensitive {
    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Sensitive::Trust => "receipt policy and keys",
            Sensitive::Ci => "CI",
            Sensitive::GitSettings => "git attributes",
            Sensitive::Hook => "hooks",
            Sensitive::Executable => "executable",
            Sensitive::Submodule => "submodule",
            Sensitive::Link => "symbolic link",
        }
    }
}

/// The sensitive files of a change, each with every reason, in order of path.
pub fn sensitive(table: &Table, proposed: &Files) -> Vec<(GitPath, Vec<Sensitive>)> {
    let mut found = Vec::new();
    for file in table.files() {
        let mut reasons: Vec<Sensitive> = Vec::new();
        for path in std::iter::once(&file.path).chain(&file.old_path) {
            reasons.extend(by_path(path.as_bytes()));
        }
        match proposed.get(&file.path).filter(|_| file.proposed.is_some()).map(|there| there.mode) {
            Some(Mode::Submodule) => reasons.push(Sensitive::Submodule),
            Some(Mode::Symlink) => reasons.push(Sensitive::Link),
            _ => {}
        }
        let executable = proposed.get(&file.path).is_some_and(|there| there.mode == Mode::Executable);
        let bit = file.ops.iter().any(|op| match op {
            Op::Cap { .. } => true,
            Op::Create | Op::Type => executable,
            _ => false,
        });
        reasons.extend(bit.then_some(Sensitive::Executable));
        reasons.sort_unstable();
        reasons.dedup();
        if !reasons.is_empty() {
            found.push((file.path.clone(), reasons));
        }
    }
    found
}

/// Judges a path as a file system without case would read it.
fn by_path(path: &[u8]) -> Option<Sensitive> {
    let lower = String::from_utf8_lossy(path).to_ascii_lowercase();
    let parts: Vec<&str> = lower.split(['/', '\\']).collect();
    let (name, folders) = parts.split_last()?;
    let top = folders.first().copied().unwrap_or_default();
    let under = |first: &str, second: &str| top == first && folders.get(1) == Some(&second);
    let yaml = |stem: &str| [".yml", ".yaml"].iter().any(|end| name.strip_suffix(end) == Some(stem));
    if top == ".receipts" || *name == ".receipts" && folders.is_empty() {
        return Some(Sensitive::Trust);
    }
    let forge = [".github", ".gitea", ".forgejo"]
        .iter()
        .any(|forge| under(forge, "workflows") || under(forge, "actions"));
    let ci_folders = [".ci", ".circleci", ".buildkite", ".gitlab", ".woodpecker", ".tekton", ".teamcity"];
    let ci_files = [
        "azure-pipelines",
        "bitbucket-pipelines",
        "appveyor",
        ".appveyor",
        ".gitlab-ci",
        ".travis",
        ".drone",
        ".cirrus",
        ".woodpecker",
        "cloudbuild",
    ];
    if *name == ".pre-commit-config.yaml" || [".husky", ".githooks", ".hooks", "hooks"].contains(&top) {
        return Some(Sensitive::Hook);
    }
    if yaml("lefthook") || yaml(".lefthook") || *name == "lefthook.toml" || *name == "lefthook.json" {
        return Some(Sensitive::Hook);
    }
    // What an agent runs around its steps.
    if [".claude", ".codex", ".gemini", ".cursor"].contains(&top) && !name.ends_with(".md") {
        return Some(Sensitive::Hook);
    }
    if forge
        || ci_folders.contains(&top)
        || ci_files.iter().any(|stem| yaml(stem))
        || *name == "jenkinsfile"
        || *name == "action.yml" && folders.is_empty()
    {
        return Some(Sensitive::Ci);
    }
    if [".gitattributes", ".gitmodules", ".lfsconfig", ".gitconfig"].contains(name) {
        return Some(Sensitive::GitSettings);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_decide_what_runs() {
        for (path, reason) in [
            (".receipts/policy.toml", Some(Sensitive::Trust)),
            (".RECEIPTS/allowed_signers", Some(Sensitive::Trust)),
            (".github/workflows/test.yml", Some(Sensitive::Ci)),
            (".github/actions/x/action.yml", Some(Sensitive::Ci)),
            (".github/CODEOWNERS", None),
            (".gitlab-ci.yml", Some(Sensitive::Ci)),
            ("Jenkinsfile", Some(Sensitive::Ci)),
            (".ci/run", Some(Sensitive::Ci)),
            (".gitattributes", Some(Sensitive::GitSettings)),
            ("sub/.gitattributes", Some(Sensitive::GitSettings)),
            (".gitmodules", Some(Sensitive::GitSettings)),
            (".gitignore", None),
            (".husky/pre-commit", Some(Sensitive::Hook)),
            ("hooks/update", Some(Sensitive::Hook)),
            ("src/hooks/use_state.js", None),
            ("lefthook.yml", Some(Sensitive::Hook)),
            (".pre-commit-config.yaml", Some(Sensitive::Hook)),
            (".claude/settings.json", Some(Sensitive::Hook)),
            ("src/main.rs", None),
        ] {
            assert_eq!(by_path(path.as_bytes()), reason, "{path}");
        }
    }
}
