//! Which commands are gates, by a table that people can extend, and what a run of them says.
//!
//! A pattern is a few words that a command must begin with. Between them the command may have options; a last
//! `*` in a word stands for any ending. A command line is a gate's only if the exit code at its end is surely the
//! gate's own.

use super::output;
use super::shell::{self, Joint, Line, Pipeline};
use crate::domain::fact::data::{Counts, GateResult};

/// One row: a name and the words of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    words: Vec<String>,
    /// Words that must stand somewhere after those.
    needs: Vec<String>,
}

/// Which commands are gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateTable {
    rows: Vec<Row>,
}

/// Why a row cannot be added to a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateTableError {
    /// A line that is not `name = pattern`.
    #[error("line {line}: `{text}` is not of the form `name = command words`")]
    NotARow {
        /// Its number, counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A name or pattern that is empty or too long.
    #[error("gate `{name}`: name and pattern must have 1 to 200 characters, none of them control characters")]
    Empty {
        /// The name.
        name: String,
    },
}

/// A gate found in a command line.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRun {
    /// The gate's name.
    pub gate: String,
    /// Its command, without redirections.
    pub command: Vec<String>,
    /// Its own exit code.
    pub exit_code: i64,
    /// What that says.
    pub result: GateResult,
    /// How many checks, where the output tells.
    pub counts: Option<Counts>,
    /// Whether what it printed was kept from the line's output, by sending it to a file.
    pub redirected: bool,
}

/// The built-in rows: the name is the words; what follows `+` must stand somewhere in the command.
#[rustfmt::skip]
const BUILT_IN: &[&str] = &[
    "cargo test", "cargo nextest run", "cargo clippy", "cargo check", "cargo fmt + --check",
    "cargo deny check", "cargo audit", "cargo miri test", "go test", "go vet", "gotestsum",
    "golangci-lint run", "staticcheck", "npm test", "npm t", "npm run test*", "npm run lint*",
    "npm run typecheck*", "npm run check*", "npm audit", "pnpm test*", "pnpm lint*", "pnpm typecheck*",
    "pnpm run test*", "pnpm run lint*", "pnpm run typecheck*", "pnpm run check*", "yarn test*",
    "yarn lint*", "yarn typecheck*", "yarn run test*", "yarn run lint*", "yarn run typecheck*",
    "yarn run check*", "bun test", "bun run test*", "bun run lint*", "bun run typecheck*", "deno test",
    "deno lint", "deno check", "deno fmt + --check", "node + --test", "jest", "vitest", "mocha", "ava",
    "playwright test", "eslint", "tsc", "biome check", "biome ci", "biome lint", "oxlint", "stylelint",
    "prettier + --check", "pytest", "py.test", "unittest", "tox", "nox", "ruff check",
    "ruff format + --check", "black + --check", "isort + --check", "flake8", "pylint", "mypy", "pyright",
    "basedpyright", "bandit", "make test*", "make check*", "make lint*", "make vet", "just test*",
    "just check*", "just lint*", "just ci", "mise run test*", "mise run lint*", "mise run check*",
    "mise run typecheck*", "mise run ci", "mise test*", "mise lint*", "task test*", "task lint*",
    "task check*", "pre-commit run", "gradle test", "gradle check", "gradlew test", "gradlew check",
    "mvn test", "mvn verify", "mvnw test", "mvnw verify", "sbt test", "dotnet test",
    "dotnet format + --verify-no-changes", "ctest", "bazel test", "meson test", "swift test", "swiftlint",
    "rspec", "rake test", "rails test", "rubocop", "phpunit", "phpstan", "psalm", "pest", "composer test",
    "mix test", "mix credo", "zig build test", "shellcheck", "hadolint", "actionlint", "yamllint",
    "terraform validate", "buf lint",
];

/// Words with which a command checks nothing.
const NO_CHECK: &[&str] = &[
    "--help",
    "-h",
    "--version",
    "-V",
    "--no-run",
    "--list",
    "--collect-only",
    "--co",
    "--dry-run",
    "--just-print",
    "--watch",
    "--init",
    "--showConfig",
    "--show-config",
];

/// Commands that run the command after them.
#[rustfmt::skip]
const WRAPPERS: &[&[&str]] = &[
    &["npx"], &["bunx"], &["pnpm", "exec"], &["pnpm", "dlx"], &["pnpx"], &["yarn", "exec"],
    &["yarn", "dlx"], &["npm", "exec"], &["uv", "run"], &["uvx"], &["poetry", "run"], &["pipenv", "run"],
    &["pdm", "run"], &["hatch", "run"], &["rye", "run"], &["bundle", "exec"], &["python", "-m"],
    &["python3", "-m"], &["mise", "exec"], &["nix", "develop", "-c"], &["direnv", "exec", "."], &["time"],
    &["env"], &["nice"], &["exec"], &["command"], &["sudo"], &["timeout"], &["gtimeout"], &["xvfb-run"],
    &["yarn"], &["bun"], &["pnpm"], &["php"],
];

/// Options whose value is the next word.
const WITH_VALUE: &[&str] = &[
    "-C",
    "--manifest-path",
    "--filter",
    "-F",
    "--prefix",
    "--dir",
    "--cwd",
    "-f",
    "--file",
    "-p",
    "--package",
    "--project",
    "--directory",
    "-k",
    "--signal",
    "-n",
    "--with",
    "--python",
    "--color",
    "--target",
    "--features",
];

impl Default for GateTable {
    fn default() -> Self {
        Self::built_in()
    }
}

impl GateTable {
    /// The table with only the rows that come with the program.
    pub fn built_in() -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let row = |text: &&str| {
            let (words_text, needs) = text.split_once('+').unwrap_or((text, ""));
            let name = words_text.trim().trim_end_matches('*').to_owned();
            Row { name, words: words(words_text), needs: words(needs) }
        };
        GateTable { rows: BUILT_IN.iter().map(row).collect() }
    }

    /// Adds a row, which goes before those that are there.
    ///
    /// # Errors
    /// When name or pattern is empty, over-long or has control characters.
    pub fn add(&mut self, name: &str, pattern: &str) -> Result<(), GateTableError> {
        let (name, pattern) = (name.trim(), pattern.trim());
        let fits =
            |text: &str| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if !fits(name) || !fits(pattern) {
            return Err(GateTableError::Empty { name: super::clip(name, 200) });
        }
        let words = pattern.split_whitespace().map(str::to_owned).collect();
        self.rows.insert(0, Row { name: name.to_owned(), words, needs: Vec::new() });
        Ok(())
    }

    /// Adds rows written one a line as `name = command words`; empty lines and those that begin with `#` are
    /// passed over.
    ///
    /// # Errors
    /// Names the first line that is no row; nothing is added then.
    pub fn add_lines(&mut self, text: &str) -> Result<(), GateTableError> {
        let mut wider = self.clone();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let not_a_row = || GateTableError::NotARow { line: index + 1, text: super::clip(line, 200) };
            let (name, pattern) = line.split_once('=').ok_or_else(not_a_row)?;
            wider.add(name, pattern)?;
        }
        *self = wider;
        Ok(())
    }

    /// The gate that a simple command is, by its words.
    pub fn name_of(&self, command: &[String]) -> Option<&str> {
        let mut words = command;
        // A wrapper in a wrapper in a wrapper: more is not worth reading.
        for _ in 0..4 {
            while words.first().is_some_and(|word| is_assignment(word)) {
                words = &words[1..];
            }
            if words.iter().any(|word| NO_CHECK.contains(&word.as_str()))
                || base_name(words.first()?) == "make" && words.iter().any(|word| word == "-n")
            {
                return None;
            }
            if let Some(row) = self.rows.iter().find(|row| row.matches(words)) {
                return Some(&row.name);
            }
            words = unwrapped(words)?;
        }
        None
    }

    /// The gates of a command line that ended with `exit_code` and printed `output`, in order; only those whose
    /// own exit code is known.
    pub fn recognise(&self, line: &str, exit_code: i64, output: &str) -> Vec<GateRun> {
        let Some(line) = shell::parse(line) else { return Vec::new() };
        let line = &line;
        let mut runs: Vec<GateRun> = self
            .proven(line, exit_code, output)
            .into_iter()
            .filter_map(|command| {
                let gate = self.name_of(command)?.to_owned();
                let result = match exit_code {
                    0 => GateResult::Passed,
                    124 if command.iter().any(|word| word.ends_with("timeout")) => GateResult::Error,
                    126.. if exit_code != 255 => GateResult::Error,
                    _ => GateResult::Failed,
                };
                Some(GateRun {
                    gate,
                    command: command.clone(),
                    exit_code,
                    result,
                    counts: None,
                    redirected: line.redirected,
                })
            })
            .collect();
        // What another command of the line printed may look the same.
        let alone = line.pipelines.iter().filter(|pipeline| !harmless(pipeline)).count() == 1;
        if let [run] = runs.as_mut_slice()
            && alone
        {
            run.counts = output::counts(output);
            // A zero that the output contradicts proves nothing.
            if run.result == GateResult::Passed && run.counts.as_ref().is_some_and(|counts| counts.failed > 0)
            {
                run.result = GateResult::Error;
            }
        }
        runs
    }

    /// The commands that surely ended with `exit_code`.
    fn proven<'a>(&self, line: &'a Line, exit_code: i64, output: &str) -> Vec<&'a Vec<String>> {
        let first_word = |pipeline: &'a Pipeline| pipeline.last().and_then(|command| command.first());
        let changes_rules = |pipeline: &Pipeline| pipeline.iter().any(|command| command[0] == "set");
        if line.pipelines.iter().any(changes_rules) {
            return Vec::new();
        }
        // The exit code is that of the last list of `&&`.
        let start = line.joints.iter().rposition(|joint| *joint == Joint::Then).map_or(0, |joint| joint + 1);
        let list = &line.pipelines[start..];
        if line.joints[start..].contains(&Joint::Or) {
            return Vec::new();
        }
        let last_of = |pipeline: &'a Pipeline| pipeline.last();
        if exit_code == 0 {
            return list.iter().filter_map(last_of).collect();
        }
        // One of them failed and ended the list: known only if the others cannot have been it.
        let mut others = list.iter().filter(|pipeline| !harmless(pipeline));
        let (Some(only), None) = (others.next(), others.next()) else { return Vec::new() };
        let moved = list
            .iter()
            .filter(|pipeline| harmless(pipeline))
            .filter_map(first_word)
            .any(|word| word == "cd" || word == "pushd");
        if moved && (output.contains("cd:") || output.contains("pushd:")) {
            return Vec::new();
        }
        last_of(only).into_iter().collect()
    }
}

/// Whether a pipeline is a command that does not fail, or says so.
fn harmless(pipeline: &Pipeline) -> bool {
    let [command] = pipeline.as_slice() else { return false };
    command.first().is_some_and(|word| HARMLESS.contains(&word.as_str()) || is_assignment(word))
}

/// Commands beside a gate that do not fail, or say so.
const HARMLESS: &[&str] = &["cd", "pushd", "echo", "printf", "export", "true", ":", "date", "pwd", "clear"];

impl Row {
    fn matches(&self, command: &[String]) -> bool {
        let mut words = command.iter();
        let mut wanted = self.words.iter();
        let (Some(first), Some(program)) = (wanted.next(), words.next()) else { return false };
        if !fits(first, program) && !fits(first, base_name(program)) {
            return false;
        }
        for want in wanted {
            loop {
                let Some(word) = words.next() else { return false };
                if fits(want, word) {
                    break;
                }
                if WITH_VALUE.contains(&word.as_str()) {
                    words.next();
                } else if !word.starts_with(['-', '+']) {
                    return false;
                }
            }
        }
        self.needs.iter().all(|need| command.iter().any(|word| word == need))
    }
}

/// Whether `word` is what a pattern's word asks for: `test*` takes `test`, `test:unit` and `test-all`.
fn fits(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => word
            .strip_prefix(stem)
            .is_some_and(|rest| rest.is_empty() || !rest.starts_with(char::is_alphabetic)),
        None => pattern == word,
    }
}

fn base_name(program: &str) -> &str {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    [".exe", ".cmd", ".bat"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// The command inside a wrapper.
fn unwrapped(words: &[String]) -> Option<&[String]> {
    let program = base_name(words.first()?);
    let fits = |wrapper: &&&[&str]| {
        wrapper[0] == program
            && wrapper.len() <= words.len()
            && wrapper[1..].iter().zip(&words[1..]).all(|(want, word)| want == word)
    };
    let wrapper = WRAPPERS.iter().filter(fits).max_by_key(|wrapper| wrapper.len())?;
    let mut rest = &words[wrapper.len()..];
    while let Some(word) = rest.first().filter(|word| word.starts_with('-')) {
        let skip = if WITH_VALUE.contains(&word.as_str()) { 2 } else { 1 };
        rest = rest.get(skip..)?;
    }
    if program.ends_with("timeout") {
        rest = rest.get(1..)?;
    }
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str, exit_code: i64, output: &str) -> String {
        let runs = GateTable::built_in().recognise(line, exit_code, output);
        runs.iter().map(|run| format!("{} {}", run.gate, run.result)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn commands_are_recognised() {
        let table = GateTable::built_in();
        let name = |line: &str| {
            let line = shell::parse(line).unwrap();
            table.name_of(&line.pipelines[0][0]).map(str::to_owned)
        };
        for (line, want) in [
            ("cargo +nightly test -q", "cargo test"),
            ("cargo --manifest-path a/Cargo.toml test", "cargo test"),
            ("RUST_BACKTRACE=1 cargo clippy -- -D warnings", "cargo clippy"),
            ("cargo fmt --all -- --check", "cargo fmt"),
            ("npx jest src", "jest"),
            ("./node_modules/.bin/vitest run", "vitest"),
            ("python3 -m pytest -x", "pytest"),
            ("uv run --with x python -m pytest", "pytest"),
            ("pnpm --filter web test:unit", "pnpm test"),
            ("npm run -s lint", "npm run lint"),
            ("mise run lint", "mise run lint"),
            ("timeout 60 go test ./...", "go test"),
            ("make -j4 -C sub check", "make check"),
            ("./gradlew :app:x test", ""),
            ("./gradlew test", "gradlew test"),
            ("yarn eslint .", "eslint"),
            ("cargo fmt", ""),
            ("cargo test --no-run", ""),
            ("cargo testify", ""),
            ("make -n test", ""),
            ("make testing", ""),
            ("gofmt -l .", ""),
            ("echo cargo test", ""),
            ("pytest --collect-only", ""),
        ] {
            assert_eq!(name(line).unwrap_or_default(), want, "{line}");
        }
    }

    #[test]
    fn only_a_gates_own_exit_code_counts() {
        assert_eq!(names("cargo test", 0, ""), "cargo test passed");
        assert_eq!(names("cargo test", 101, ""), "cargo test failed");
        assert_eq!(names("cargo test", 127, "cargo: command not found"), "cargo test error");
        assert_eq!(names("timeout 5 cargo test", 124, ""), "cargo test error");
        assert_eq!(names("cd x && cargo test", 101, "error[E0308]"), "cargo test failed");
        assert_eq!(names("cd x && cargo test", 1, "bash: line 1: cd: x: No such file or directory"), "");
        assert_eq!(names("cargo fmt --check && cargo test", 0, ""), "cargo fmt passed, cargo test passed");
        assert_eq!(names("cargo fmt --check && cargo test", 1, ""), "", "which of the two is not known");
        assert_eq!(names("cargo build && cargo test", 101, ""), "");
        assert_eq!(names("cargo test 2>&1 | tail -5", 0, "ok"), "", "the code is tail's");
        assert_eq!(names("cat names | pytest", 0, ""), "pytest passed");
        assert_eq!(names("cargo test; echo $?", 0, ""), "");
        assert_eq!(names("cargo test || true", 0, ""), "");
        assert_eq!(names("git status; cargo test", 101, ""), "cargo test failed");
        assert_eq!(names("set -e; a; cargo test", 1, ""), "");
        assert_eq!(names("cargo test && echo fine", 101, ""), "cargo test failed");
        let lies = "test result: FAILED. 1 passed; 1 failed; 0 ignored;\n";
        assert_eq!(names("cargo test --no-fail-fast", 0, lies), "cargo test error");
    }

    #[test]
    fn another_commands_counts_are_not_the_gates() {
        let output = "test result: ok. 3 passed; 0 failed; 0 ignored;";
        let counted = |line: &str| GateTable::built_in().recognise(line, 0, output)[0].counts.is_some();
        assert!(counted("cd x && cargo test"));
        assert!(!counted("./run-more && cargo test"));
    }

    #[test]
    fn people_add_rows() {
        let mut table = GateTable::built_in();
        table.add_lines("# ours\n\nunit = just unit*\ncargo test all = cargo test --workspace\n").unwrap();
        let first = |line: &str| table.recognise(line, 0, "").first().map(|run| run.gate.clone());
        assert_eq!(first("just unit-fast").as_deref(), Some("unit"));
        assert_eq!(first("cargo test --workspace").as_deref(), Some("cargo test all"));
        assert_eq!(first("cargo test").as_deref(), Some("cargo test"));
        assert!(table.add_lines("a = b\nnothing").unwrap_err().to_string().starts_with("line 2: `nothing`"));
        assert!(table.add(" ", "x").is_err());
        assert_eq!(table.rows.len(), GateTable::built_in().rows.len() + 2);
    }
}
