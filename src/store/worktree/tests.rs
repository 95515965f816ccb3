//! git is the oracle: what `git add --all; git write-tree` gives in a copy of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::store::OpenOptions;

/// Who is to find the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Gix,
    Git,
}

const BASE: &str = "
    printf 'one\\n' > a.txt; mkdir -p dir/deep; printf 'two\\n' > dir/b.txt; printf 'three\\n' > dir/deep/c.txt
    printf '#!/bin/sh\\n' > run.sh; chmod +x run.sh; ln -s a.txt link
    printf '*.log\\nbuild/\\n' > .gitignore; git add -A; git commit -qm base
";
const OTHER: &str = "
    mkdir other; git -C other init -q --object-format=$FORMAT; (cd other; echo x > x; git add x; git commit -qm x)
";

#[rustfmt::skip]
const CASES: &[(&str, By, &str)] = &[
    ("nothing changed", By::Gix, ""),
    ("a file changed", By::Gix, "echo more >> a.txt"),
    ("a file of the same size changed at once", By::Gix, "printf 'ONE\\n' > a.txt"),
    ("a file touched", By::Gix, "touch -d '2001-01-01' a.txt"),
    ("new files, some ignored", By::Gix, "echo x > new; echo x > x.log; mkdir build n; echo x > build/x; echo x > n/x"),
    ("a forced file in an ignored folder", By::Gix, "mkdir build; echo x > build/x; git add -f build/x; echo y > build/x; echo z > build/z"),
    ("an ignored file that is tracked", By::Gix, "echo x > x.log; git add -f x.log; git commit -qm x; echo y > x.log"),
    ("nested ignores with exceptions", By::Gix, "mkdir -p p/q; echo '!keep.log' > p/.gitignore; echo x > p/keep.log; echo x > p/q/keep.log; echo x > p/other.log"),
    ("info/exclude", By::Gix, "echo '*.tmp' >> .git/info/exclude; echo x > x.tmp; echo x > y.tmp2"),
    ("core.excludesFile", By::Gix, "echo '*.tmp' > .git/ex; git config core.excludesFile \"$PWD/.git/ex\"; echo x > x.tmp; echo x > y"),
    ("status.showUntrackedFiles=no", By::Gix, "git config status.showUntrackedFiles no; echo x > new"),
    ("a file deleted", By::Gix, "rm a.txt"),
    ("a folder deleted", By::Gix, "rm -r dir"),
    ("everything deleted", By::Gix, "rm -r a.txt dir run.sh link .gitignore"),
    ("a deletion staged and the file back", By::Gix, "git rm -q --cached a.txt; echo back > a.txt"),
    ("a file staged and then deleted", By::Gix, "echo x > new; git add new; rm new"),
    ("a change staged and undone", By::Gix, "echo x >> a.txt; git add a.txt; git show HEAD:a.txt > a.txt"),
    ("a rename staged", By::Gix, "git mv a.txt z.txt; git mv dir other"),
    ("a rename staged and then changed", By::Gix, "git mv a.txt dir/a2.txt; echo x >> dir/a2.txt; echo new > a.txt"),
    ("a rename unstaged", By::Gix, "mv dir/b.txt dir/b2.txt"),
    ("intent to add", By::Gix, "echo x > new; git add -N new; mkdir n; echo y > n/y; git add -N n/y"),
    ("intent to add and gone", By::Gix, "mkdir n; echo x > n/new; git add -N n/new; rm -r n"),
    ("intent to add of an empty file", By::Gix, ": > new; git add -N new"),
    ("a bit set and one taken", By::Gix, "chmod +x a.txt; chmod -x run.sh"),
    ("core.fileMode=false", By::Gix, "git config core.fileMode false; chmod +x a.txt; chmod -x run.sh; echo x >> run.sh; echo x > new; chmod +x new"),
    ("core.fileMode=false, staged bit", By::Gix, "git config core.fileMode false; echo x > n; git add n; git update-index --chmod=+x n; echo y > n"),
    ("core.symlinks=false", By::Gix, "git config core.symlinks false; rm link; printf dir/b.txt > link; printf x > new; ln -s a.txt newlink"),
    ("a link moved", By::Gix, "ln -sf dir link; ln -s nowhere dangling; ln -s ../outside out"),
    ("a file becomes a link", By::Gix, "rm a.txt; ln -s run.sh a.txt"),
    ("a link becomes a file", By::Gix, "rm link; printf a.txt > link"),
    ("a folder becomes a link to a folder", By::Gix, "mv dir dir2; ln -s dir2 dir"),
    ("a folder becomes a file", By::Gix, "rm -r dir; echo x > dir"),
    ("a file becomes a folder", By::Gix, "rm a.txt; mkdir a.txt; echo x > a.txt/in; echo y > a.txt/too"),
    ("a file becomes an empty folder", By::Gix, "rm a.txt; mkdir a.txt"),
    ("a file becomes an ignored folder's", By::Gix, "rm a.txt; mkdir a.txt; echo x > a.txt/x.log"),
    ("a staged file becomes a folder and back", By::Gix, "rm -r dir; echo x > dir; git add -A; rm dir; mkdir dir; echo z > dir/z"),
    ("a pipe lies about", By::Gix, "mkfifo pipe; mkdir -p f; mkfifo f/pipe; echo x > f/x"),
    ("empty folders", By::Gix, "mkdir -p e/f/g"),
    ("names that sort oddly", By::Gix, "mkdir s s.d s0; echo 1 > s/x; echo 2 > s.d/x; echo 3 > s0/x; echo 4 > s-; git add s.d; echo 5 > s.txt"),
    ("names that are no text", By::Gix, "printf x > \"$(printf 'caf\\351')\"; mkdir \"$(printf 'd\\377')\"; printf y > \"$(printf 'd\\377/\\001')\"; printf z > 'sp ace'; printf q > 'qu\"ote'"),
    ("names with line breaks and glob characters", By::Gix, "printf x > \"$(printf 'a\\nb')\"; printf y > '*'; printf z > ':(top)x'; printf w > '[a]'; printf b > 'back\\slash'"),
    ("an empty file", By::Gix, ": > empty; : > a.txt"),
    ("a large file", By::Gix, "head -c 3000000 /dev/zero > big"),
    ("assume-unchanged", By::Gix, "git update-index --assume-unchanged a.txt; echo x >> a.txt; echo y >> run.sh"),
    ("skip-worktree, file there", By::Gix, "git update-index --skip-worktree a.txt; echo x >> a.txt"),
    ("skip-worktree, file gone", By::Gix, "git update-index --skip-worktree a.txt; rm a.txt; echo x > new"),
    ("no commit and no file", By::Gix, "rm -rf ./* .gitignore .git; git init -q --object-format=$FORMAT"),
    ("no commit, no index", By::Gix, "rm -rf .git; git init -q --object-format=$FORMAT"),
    ("no commit, files staged", By::Gix, "rm -rf .git; git init -q --object-format=$FORMAT; git add dir; echo x > dir/b.txt"),
    ("no index", By::Gix, "rm .git/index"),
    ("index version 4", By::Gix, "git update-index --index-version 4; echo x > dir/new; echo y >> dir/b.txt"),
    ("split index", By::Gix, "git update-index --split-index; echo x > new; git add new; echo y >> a.txt"),
    ("untracked cache", By::Gix, "git update-index --force-untracked-cache; git status -s; echo x > new"),
    ("index without known trees", By::Gix, "git read-tree --empty; git add -A; git update-index --add --cacheinfo 100644,$(echo q | git hash-object -w --stdin),dir/deep/q; echo x > new"),
    ("crlf with autocrlf", By::Gix, "git config core.autocrlf true; printf 'x\\r\\ny\\r\\n' > new; printf 'x\\r\\n' > a.txt; printf 'x\\r\\n\\0' > bin"),
    ("crlf with autocrlf=input, mixed", By::Gix, "git config core.autocrlf input; printf 'x\\r\\ny\\n' > new; printf 'lone\\rcr\\r\\n' > cr"),
    ("crlf in the index stays with text=auto", By::Gix, "printf 'x\\r\\n' > old; git add old; git commit -qm x; echo '* text=auto' > .gitattributes; printf 'x\\r\\ny\\r\\n' > old; printf 'z\\r\\n' > new"),
    ("crlf with attributes", By::Gix, "printf '*.t text\\n*.c text eol=crlf\\n*.b -text\\nq* crlf=input\\n' > .gitattributes; for f in a.t a.c a.b q; do printf 'x\\r\\ny\\r\\n' > $f; done"),
    ("core.safecrlf", By::Git, "git config core.autocrlf input; git config core.safecrlf true; printf 'x\\r\\n' > new"),
    ("attributes in folders and info", By::Gix, "mkdir t; echo '*.x text' > t/.gitattributes; echo '*.y text' > .git/info/attributes; for f in t/a.x a.x t/a.y a.y; do printf 'x\\r\\n' > $f; done"),
    ("attribute macros", By::Gix, "printf '[attr]lines text eol=lf\\n*.x lines\\n*.y binary\\n' > .gitattributes; printf 'x\\r\\n' > a.x; printf 'x\\r\\n' > a.y"),
    ("ident", By::Gix, "echo '*.i ident' > .gitattributes; printf '$Id: abc def $\\n$Id$\\n' > x.i"),
    ("utf-16", By::Gix, "echo '*.u working-tree-encoding=UTF-16LE' > .gitattributes; printf 'h\\0i\\0' > x.u"),
    ("a clean filter", By::Gix, "git config filter.up.clean 'tr a-z A-Z'; echo '*.up filter=up' > .gitattributes; echo text > x.up; git add x.up; git commit -qm x; echo other > x.up; echo new > y.up"),
    ("a clean filter that gets the path", By::Gix, "git config filter.p.clean 'cat; echo %f'; echo '* filter=p' > .gitattributes; mkdir -p 'o p'; echo x > 'o p/x y'"),
    ("a clean filter in the repository", By::Gix, "mkdir tools; printf '#!/bin/sh\\nsed s/x/y/\\n' > tools/f; chmod +x tools/f; git config filter.t.clean ./tools/f; echo 'f.* filter=t' > .gitattributes; echo xx > f.a"),
    ("a clean filter that fails", By::Gix, "git config filter.no.clean false; echo '*.no filter=no' > .gitattributes; echo text > x.no"),
    ("a clean filter that is not there", By::Git, "git config filter.no.clean /nowhere/at/all; echo '*.no filter=no' > .gitattributes; echo text > x.no"),
    ("a clean filter without an end", By::Gix, "git config filter.h.clean 'head -c 3'; echo '*.h filter=h' > .gitattributes; head -c 900000 /dev/zero > x.h"),
    ("a filter that only smudges", By::Gix, "git config filter.s.smudge 'tr a-z A-Z'; echo '*.s filter=s' > .gitattributes; echo text > x.s"),
    ("a filter nobody configured", By::Gix, "echo '*.s filter=unknown' > .gitattributes; echo text > x.s"),
    ("a submodule moved", By::Gix, "S; (cd sub; echo y > y; git add y; git commit -qm y)"),
    ("a submodule with changes inside", By::Gix, "S; echo y > sub/y; echo z >> sub/x"),
    ("a submodule at the same commit", By::Gix, "S"),
    ("a submodule not checked out", By::Gix, "S; git submodule -q deinit -f sub"),
    ("a submodule not checked out, with files", By::Gix, "S; git submodule -q deinit -f sub; echo x > sub/stray"),
    ("a submodule deleted", By::Gix, "S; rm -rf sub"),
    ("a submodule becomes a file", By::Gix, "S; rm -rf sub; echo x > sub"),
    ("a submodule becomes a folder", By::Gix, "S; git rm -q --cached sub; rm sub/.git"),
    ("a submodule to ignore", By::Git, "S; git config submodule.sub.ignore all; (cd sub; git commit -q --allow-empty -m y)"),
    ("a submodule to ignore by .gitmodules", By::Git, "S; git config -f .gitmodules submodule.sub.ignore all; (cd sub; git commit -q --allow-empty -m y)"),
    ("diff.ignoreSubmodules", By::Git, "S; git config diff.ignoreSubmodules all; (cd sub; git commit -q --allow-empty -m y)"),
    ("a nested repository", By::Gix, "O"),
    ("a nested repository, deep", By::Gix, "O; mkdir -p p/q; mv other p/q/; echo x > p/x"),
    ("a nested repository, ignored", By::Gix, "O; echo other >> .gitignore"),
    ("a nested repository staged and moved", By::Gix, "O; git add other; (cd other; git commit -q --allow-empty -m y)"),
    ("a nested folder that only looks like a repository", By::Gix, "mkdir -p fake/.git; echo x > fake/x"),
    ("a tracked folder becomes a repository", By::Gix, "cd dir; git init -q --object-format=$FORMAT; git add -A; git commit -qm x; echo n > n; cd .."),
    ("a bare repository lies about", By::Gix, "git init -q --bare --object-format=$FORMAT bare.git; rm -rf bare.git/hooks"),
    ("a linked worktree inside", By::Gix, "git worktree add -q w -b w; echo x > w/x"),
    ("a nested repository without a commit", By::Git, "O; rm -rf other/.git; git -C other init -q --object-format=$FORMAT; echo y > y"),
    ("a filter process", By::Gix, "P; echo text > x.p; git add x.p; git commit -qm x; for f in 1 2 3; do echo $f > $f.p; done; echo other > x.p"),
    ("a filter process that refuses", By::Git, "P; echo error > x.p; echo text > y.p"),
    ("a required filter", By::Gix, "git config filter.r.clean 'tr a-z A-Z'; git config filter.r.required true; echo '*.r filter=r' > .gitattributes; echo x > x.r"),
    ("a hook on index changes", By::Git, "C; printf '#!/bin/sh\\ntouch hooked\\n' > .git/hooks/post-index-change; chmod +x .git/hooks/post-index-change"),
    ("a conflict and a change no clock can tell", By::Git, "C; printf 'TWO\\n' > dir/b.txt; touch -r .git/index dir/b.txt; git add dir/b.txt; printf 'six\\n' > dir/b.txt; touch -r .git/index dir/b.txt"),
    ("a conflict", By::Git, "C"),
    ("a conflict, one side deleted", By::Git, "C; git checkout -q --theirs a.txt; rm a.txt"),
    ("sparse checkout", By::Git, "git sparse-checkout set --cone dir/deep; echo x >> dir/deep/c.txt; echo n > dir/deep/n"),
    ("sparse checkout with a file outside", By::Git, "git sparse-checkout set --cone dir/deep; mkdir -p else; echo x > else/x"),
    ("sparse index", By::Git, "mkdir -p big/one big/two; echo 1 > big/one/1; echo 2 > big/two/2; git add -A; git commit -qm x; git sparse-checkout set --cone --sparse-index dir; echo x > dir/n"),
];

const PRELUDE: &str = "
    set -e
    P() { git config filter.p.process \"perl '$PWD/../filter'\"; echo '*.p filter=p' > .gitattributes; }
    S() { O; mv other ../sub.$$; git -c protocol.file.allow=always submodule -q add \"$PWD/../sub.$$\" sub; git commit -qm sub; }
    C() { git checkout -qb side; echo theirs > a.txt; git commit -qam side; git checkout -q main; echo ours > a.txt
          git commit -qam ours; git merge -q side >/dev/null || true; }
";

/// A long-running filter that puts everything into capitals and refuses what begins with `error`.
const FILTER: &str = r#"
    $| = 1; binmode STDIN; binmode STDOUT;
    sub get { read(STDIN, my $n, 4) == 4 or exit; $n = hex $n; return undef unless $n; read(STDIN, my $b, $n - 4); $b }
    sub list { my @l; while (defined(my $l = get())) { push @l, $l } @l }
    sub put { printf '%04x%s', 4 + length $_[0], $_[0] }
    sub flush { print '0000' }
    list(); put("git-filter-server\n"); put("version=2\n"); flush();
    list(); put("capability=clean\n"); flush();
    while (1) {
        list(); my $text = join '', list();
        if ($text =~ /^error/) { put("status=error\n"); flush(); next }
        put("status=success\n"); flush(); put(uc $text); flush(); flush();
    }
"#;

fn git_command(program: &str, top: &Path, format: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(top)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", top.parent().unwrap())
        .env("LC_ALL", "C")
        .env("FORMAT", format)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
    }
    command
}

/// A repository on its own in a temporary folder.
struct Fixture {
    _folder: tempfile::TempDir,
    top: PathBuf,
    format: &'static str,
}

impl Fixture {
    fn new(format: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(folder.path()).unwrap().join("top");
        fs::create_dir(&top).unwrap();
        fs::write(top.with_file_name("filter"), FILTER).unwrap();
        let fixture = Fixture { _folder: folder, top, format };
        fixture.sh(&format!("git init -q -b main --object-format={format}"));
        fixture
    }

    fn sh(&self, script: &str) -> String {
        let other = OTHER.trim();
        let whole = format!("{PRELUDE}\nO() {{ {other}\n}}\n{script}");
        let output = git_command("sh", &self.top, self.format).args(["-c", &whole]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What git says, in a copy, so that nothing of it helps us.
    fn oracle(&self) -> ObjectId {
        let copy = self.top.with_file_name("copy");
        let _ = fs::remove_dir_all(&copy);
        self.sh("cp -a . ../copy");
        // Without a commit there is nothing of a nested repository to add.
        let add = "git -c core.safecrlf=false add -A --sparse 2>/dev/null || git add -A --sparse --ignore-errors 2>/dev/null || true";
        let add = git_command("sh", &copy, self.format).args(["-c", add]).status().unwrap();
        assert!(add.success());
        let written = git_command("git", &copy, self.format).arg("write-tree").output().unwrap();
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        ObjectId::from_hex(String::from_utf8(written.stdout).unwrap().trim().as_bytes()).unwrap()
    }

    fn store(&self) -> Store {
        let mut store = Store::open(&OpenOptions {
            directory: self.top.clone(),
            now: "2026-01-02T03:04:05.000Z".parse().unwrap(),
            quarantined: false,
            entropy: |bytes| bytes.fill(7),
            settings: Vec::new(),
            private: None,
            trusts_kept: false,
            named: true,
            temporary: std::env::temp_dir(),
            objects: Default::default(),
        })
        .unwrap();
        // Not the machine's own configuration.
        let repo = gix::ThreadSafeRepository::open_opts(&self.top, gix::open::Options::isolated()).unwrap();
        store.repo = repo.to_thread_local();
        store
    }

    /// What must be the same before and after, as far as git and the file system see it.
    fn untouched(&self) -> (Option<Vec<u8>>, String) {
        let files = "find . -path ./.git -prune -o -printf '%p %y %m %s %T@ %l\\n' | LC_ALL=C sort";
        (fs::read(self.top.join(".git/index")).ok(), self.sh(files))
    }

    fn check(&self, name: &str, by: By) {
        let before = self.untouched();
        let store = self.store();
        let none = Excluded::new(&store.repo, &[]);
        let ours = trees_by_gix(&store.repo, &none, None);
        if by == By::Git {
            assert!(ours.is_err(), "{name}: gix answered {ours:?}");
        }
        let expected = self.oracle();
        if by == By::Gix {
            let ours = ours.unwrap_or_else(|Unsure(why)| panic!("{name}: unsure, for {why}"));
            self.same(name, ours.worktree, expected);
        }
        let store = self.store();
        self.same(name, store.trees_by_git(&none, None).unwrap().worktree, expected);
        let tree = store.write_worktree().unwrap();
        self.same(name, object_id(tree.tree), expected);
        let head = store.head_tree().unwrap();
        assert_eq!(tree.dirty, head != Some(tree.tree) || store.has_dirty_submodules().unwrap(), "{name}");
        let dirty = store.is_dirty().unwrap();
        assert!(dirty || head.unwrap_or(store.empty_tree()) == tree.tree, "{name}");
        if tree.index == head && head.is_some() {
            assert_eq!(dirty, tree.dirty, "{name}");
        }
        assert_eq!(self.untouched(), before, "{name}: something was touched");
        let missing = self
            .sh(&format!("git rev-list --objects --missing=print --no-object-names {}", tree.tree.to_hex()));
        assert!(!missing.contains('?'), "{name}: {missing}");
        self.sh(&format!("git cat-file tree {} > /dev/null", tree.tree.to_hex()));
        assert_eq!(
            fs::read_dir(store.state_dir()).map_or(0, Iterator::count),
            0,
            "{name}: something was left"
        );
    }

    fn same(&self, name: &str, ours: ObjectId, expected: ObjectId) {
        if ours != expected {
            let ours = self.sh(&format!("git ls-tree -r {ours}"));
            let expected = git_command("git", &self.top.with_file_name("copy"), self.format)
                .args(["ls-tree", "-r", &expected.to_string()])
                .output()
                .unwrap();
            panic!(
                "{name} ({}):\nours\n{ours}\ngit\n{}",
                self.format,
                String::from_utf8_lossy(&expected.stdout)
            );
        }
    }
}

fn check_cases(format: &'static str) {
    let only = std::env::var("CASE").unwrap_or_default();
    let perl = Command::new("perl").arg("-v").output().is_ok();
    let mut failed = Vec::new();
    for (name, by, script) in CASES.iter().filter(|(name, ..)| name.contains(&only)) {
        if name.contains("filter process") && !perl {
            continue;
        }
        let checked = std::panic::catch_unwind(|| {
            let fixture = Fixture::new(format);
            fixture.sh(BASE);
            fixture.sh(script);
            fixture.check(name, *by);
        });
        if checked.is_err() {
            failed.push(*name);
        }
    }
    assert_eq!(failed, Vec::<&str>::new());
}

#[test]
fn messy_working_trees_give_the_tree_that_git_gives() {
    check_cases("sha1");
}

#[test]
fn messy_working_trees_give_the_tree_that_git_gives_under_sha256() {
    check_cases("sha256");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

fn random_steps(dice: &mut Dice, count: usize) -> String {
    let paths = [
        "a", "b", "d", "d/a", "d/b", "d/e/a", "d.x", "d0", "e/a", "e", "a/x", "x.log", "i/x", "i/y", "c.crlf",
    ];
    let mut script = String::from("set +e; exec 2>/dev/null\n");
    for _ in 0..count {
        let (path, other, dir) = (dice.of(&paths), dice.of(&paths), dice.of(&["d", "d/e", "e", "i", "a"]));
        let text = dice.of(&["x\\n", "y\\n", "x\\r\\ny\\r\\n", "", "x\\0", "$Id$\\n", "longer\\ntext\\n"]);
        script += &match dice.roll(22) {
            0..6 => format!("mkdir -p $(dirname {path}); printf '{text}' > {path}"),
            6 | 7 => format!("rm -rf {path}"),
            8 => format!("rm -rf {path}; mkdir -p {path}; printf '{text}' > {path}/in"),
            9 => format!("chmod {} {path}", dice.of(&["+x", "-x"])),
            10 => format!("rm -rf {path}; ln -s {other} {path}"),
            11 => format!("mv {path} {other}"),
            12 | 13 => format!("git add {path}"),
            14 => format!("git add -N {path}"),
            15 => format!("git rm -rq --cached {path}"),
            16 => format!("git mv {path} {other}"),
            17 => "git add -A; git commit -qm x".to_owned(),
            18 => {
                format!("printf '{}\n' >> {dir}/.gitignore", dice.of(&["*.log", "i/", "/a", "!x.log", "e"]))
            }
            19 => format!(
                "printf '{}\n' >> .gitattributes",
                dice.of(&["* text=auto", "*.crlf text", "a ident", "d/* -text"])
            ),
            20 => format!(
                "git config {}",
                dice.of(&[
                    "core.fileMode false",
                    "core.autocrlf input",
                    "core.autocrlf true",
                    "core.fileMode true"
                ])
            ),
            _ => format!("cp -a {path} {other}"),
        };
        script.push('\n');
    }
    script + "true"
}

/// What git says has changed: path, letter, ids.
fn changes_by_git(fixture: &Fixture, from: Oid, to: Oid) -> Vec<TreeChange> {
    let output = git_command("git", &fixture.top, fixture.format)
        .args(["diff-tree", "-r", "-z", "--no-renames", &from.to_hex(), &to.to_hex()])
        .output()
        .unwrap();
    let mut fields = output.stdout.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let (Some(meta), Some(path)) = (fields.next().filter(|meta| !meta.is_empty()), fields.next()) {
        let meta: Vec<_> = std::str::from_utf8(meta).unwrap().split(' ').collect();
        let id = |hex: &str| Oid::from_hex(hex).filter(|_| hex.bytes().any(|byte| byte != b'0'));
        let change = match meta[4] {
            "A" => Change::Added,
            "D" => Change::Deleted,
            "T" => Change::TypeChanged,
            _ => Change::Modified,
        };
        changes.push(TreeChange { path: path.into(), change, before: id(meta[2]), after: id(meta[3]) });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

#[test]
fn whatever_happens_to_files_and_index_the_tree_and_its_changes_are_as_git_has_them() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let mut by_git = 0;
    for seed in 1..=rounds {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed << 20));
        let fixture = Fixture::new(if seed % 4 == 0 { "sha256" } else { "sha1" });
        for step in 0..4 {
            let script = random_steps(&mut dice, 12);
            fixture.sh(&script);
            let name = format!("seed {seed}, step {step}, after\n{script}\n");
            let store = fixture.store();
            let excluded = Excluded::new(&store.repo, &[]);
            let by = if trees_by_gix(&store.repo, &excluded, None).is_ok() { By::Gix } else { By::Git };
            by_git += u64::from(by == By::Git);
            fixture.check(&name, by);
            let tree = store.write_worktree().unwrap();
            let head = tree.head.unwrap_or(store.empty_tree());
            for (from, to) in [(head, tree.tree), (tree.tree, head), (tree.index.unwrap_or(head), tree.tree)]
            {
                assert_eq!(
                    store.tree_changes(from, to).unwrap(),
                    changes_by_git(&fixture, from, to),
                    "{name}"
                );
            }
        }
    }
    assert!(by_git * 10 <= rounds * 4, "git was asked {by_git} times");
}

#[test]
fn an_excluded_file_is_left_out_when_new_and_as_staged_when_tracked() {
    for conflict in ["", "C"] {
        let fixture = Fixture::new("sha1");
        fixture.sh(BASE);
        fixture.sh("echo staged > .env; mkdir secret; echo 1 > secret/tracked; git add -f .env secret; git commit -qm env");
        fixture.sh(conflict);
        fixture.sh("echo hidden > .env; echo 2 > secret/tracked; echo 3 > secret/new; echo 4 > dir/key.pem; echo 5 > dir/ok.pem; echo 6 > new; rm run.sh");
        let store = fixture.store();
        let exclude = [".env", "secret/", "*.pem", "!ok.pem", "run.sh"].map(str::to_owned);
        let tree = store.write_worktree_except(&exclude).unwrap().tree.to_hex();
        let files = fixture.sh(&format!("git ls-tree -r --name-only {tree}"));
        assert!(
            files.contains("dir/ok.pem\n") && files.contains("run.sh\n") && files.contains("\nnew\n"),
            "{files}"
        );
        assert!(!files.contains("key.pem") && !files.contains("secret/new"), "{files}");
        assert_eq!(fixture.sh(&format!("git show {tree}:.env {tree}:secret/tracked")), "staged\n1\n");
        if conflict.is_empty() {
            let hidden = fixture.sh("echo hidden | git hash-object --stdin");
            assert!(!store.has_object(Oid::from_hex(hidden.trim()).unwrap()), "a hidden content was stored");
        }
    }
}

#[test]
fn a_tree_that_only_excluded_files_would_change_is_not_dirty() {
    let fixture = Fixture::new("sha1");
    fixture.sh(BASE);
    fixture.sh("git config receipt.exclude '*.pem'; echo x > key.pem");
    let store = fixture.store();
    assert!(!store.is_dirty().unwrap());
    assert!(!store.write_worktree().unwrap().dirty);
}

#[test]
fn a_bare_repository_has_no_worktree_to_write() {
    let fixture = Fixture::new("sha1");
    fixture.sh("rm -rf .git; git init -q --bare .");
    assert!(matches!(fixture.store().write_worktree(), Err(StoreError::Bare)));
}

#[test]
fn an_open_store_sees_every_index_that_git_writes() {
    let fixture = Fixture::new("sha1");
    fixture.sh(BASE);
    fixture.sh("cp -a .git/index .git/older; echo x > x.log; git add -f x.log");
    let store = fixture.store();
    let with = store.write_worktree().unwrap();
    fixture.sh("cp -a .git/older .git/index");
    let without = store.write_worktree().unwrap();
    assert_eq!((with.dirty, without.dirty), (true, false));
    assert_eq!(object_id(without.tree), fixture.oracle());
}

#[test]
fn a_linked_worktree_has_its_own_index_and_files() {
    let fixture = Fixture::new("sha1");
    fixture.sh(BASE);
    fixture.sh("git worktree add -q ../linked -b linked; echo here > new");
    let linked = Fixture {
        _folder: tempfile::tempdir().unwrap(),
        top: fixture.top.with_file_name("linked"),
        format: "sha1",
    };
    linked.sh("echo there > other; git add other; rm a.txt");
    let tree = linked.store().write_worktree().unwrap();
    let files = linked.sh(&format!("git ls-tree --name-only {}", tree.tree.to_hex()));
    assert_eq!(files, ".gitignore\ndir\nlink\nother\nrun.sh\n");
}
