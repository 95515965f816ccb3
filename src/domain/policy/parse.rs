//! The text of a policy: what its parts must be, and what beside each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::table::{At, Table, Value};
use super::{
    Approvals, Enforce, Flaw, Gate, Grade, PathPatterns, Policy, Problem, RefPattern, Requirement, Rule,
    Unfit, check_principal, flaw, shown,
};
use crate::domain::fact::data::Risk;
use crate::domain::ids::{Oid, OidSet};

const VERSION: i64 = 1;

type Roles = BTreeMap<String, BTreeSet<String>>;
type Owners = BTreeMap<String, String>;

pub(super) fn parse(text: &str) -> Result<Policy, Problem> {
    read(text).map_err(|flaw| flaw.place_in(text))
}

fn read(text: &str) -> Result<Policy, Flaw> {
    // Such a character can make a comment look like a rule, or a rule like a comment.
    let turns = |&(_, c): &(usize, char)| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if let Some((at, c)) = text.char_indices().find(turns) {
        let message = format!("`{}` changes the direction of the text", c.escape_debug());
        return flaw(at, message, "delete the character");
    }
    let mut policy = Table::document(text)?;
    // Before all else: another version may well have other keys.
    match policy.take("version").map(Value::number).transpose()? {
        Some(version) if version.value == VERSION => {}
        Some(At { at, value }) => {
            let hint = "write `version = 1`; a policy of a later version needs a later git-receipt";
            return flaw(at, format!("version {value} is not known"), hint);
        }
        None => return flaw(0, "no `version`", "begin the file with `version = 1`"),
    }
    policy.only(
        &["repos", "roles", "owners", "rule"],
        "a policy has `version`, `repos`, `roles`, `owners` and `rule`; what is not known is refused, not passed over",
    )?;
    let repos = policy.take("repos").map_or(Ok(Vec::new()), repos)?;
    let mut names = Names::default();
    let roles = policy.take("roles").map_or(Ok(Roles::new()), |raw| roles(raw.table()?, &mut names))?;
    let owners = policy.take("owners").map_or(Ok(Owners::new()), |raw| owners(raw.table()?, &mut names))?;
    let rules = policy.take("rule").map_or(Ok(Vec::new()), |raw| Ok(raw.list()?.value))?;
    if rules.is_empty() {
        return flaw(text.len(), "no rule: such a policy requires nothing", "add a `[[rule]]`");
    }
    let people = People { roles: &roles, owners: &owners };
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let rules = rules.into_iter().map(|raw| {
        let line = ends.partition_point(|&end| end < raw.at) + 1;
        rule(line, raw.table()?, &people)
    });
    let rules = rules.collect::<Result<_, _>>()?;
    Ok(Policy { repos, roles, owners, rules })
}

fn repos(raw: Value) -> Result<Vec<Oid>, Flaw> {
    let (mut repos, mut seen) = (Vec::new(), OidSet::default());
    for At { at, value } in raw.strings()?.value {
        let hint =
            "a project's id is `sha1:` or `sha256:` and what `git rev-list --max-parents=0 HEAD` prints";
        let repo: Oid = value.parse().or_else(|error| flaw(at, format!("{error}"), hint))?;
        if !seen.insert(repo) {
            return flaw(at, format!("`{repo}` stands twice in `repos`"), "keep one of the two");
        }
        repos.push(repo);
    }
    Ok(repos)
}

/// Principals seen so far, by what they are but for upper and lower case.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    /// Takes a principal that a signer can be called, spelled as it was before.
    fn principal(&mut self, At { at, value: name }: At<String>) -> Result<String, Flaw> {
        check_principal(&name).or_else(|problem| {
            flaw(at, problem.to_string(), "write a principal exactly as in `.receipts/allowed_signers`")
        })?;
        let known = self.0.entry(name.to_lowercase()).or_insert_with(|| name.clone());
        if *known != name {
            let message = format!("`{}` and `{}` differ in case only", shown(&name), shown(known));
            return flaw(at, message, "principals are compared exactly: write one person one way");
        }
        Ok(name)
    }
}

fn roles(raw: Table, names: &mut Names) -> Result<Roles, Flaw> {
    let mut roles = Roles::new();
    for (At { at, value: role }, members) in raw.in_order() {
        if role.is_empty() || !role.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            let message = format!("`{}` is not a name for a role", shown(&role));
            return flaw(at, message, "use letters, digits, `-` and `_`");
        }
        let members = members.strings()?;
        if members.value.is_empty() {
            let hint = "list its principals, or delete it here and in the rules";
            return flaw(members.at, format!("role `{role}` has no members"), hint);
        }
        let mut taken = BTreeSet::new();
        for member in members.value {
            let at = member.at;
            let member = names.principal(member)?;
            let message = format!("`{}` stands twice in role `{role}`", shown(&member));
            if !taken.insert(member) {
                return flaw(at, message, "keep one of the two: one person is one approval");
            }
        }
        roles.insert(role, taken);
    }
    Ok(roles)
}

fn owners(raw: Table, names: &mut Names) -> Result<Owners, Flaw> {
    let (mut direct, mut order) = (HashMap::new(), Vec::new());
    for (owned, owner) in raw.in_order() {
        let at = owned.at;
        let (owned, owner) = (names.principal(owned)?, names.principal(owner.string()?)?);
        order.push((at, owned.clone()));
        direct.insert(owned, owner);
    }
    let mut last = Owners::new();
    for (at, owned) in order {
        let (mut passed, mut owner) = (HashSet::new(), &owned);
        // To the end of the line, or to where an earlier walk found it.
        let end = loop {
            if let Some(end) = last.get(owner) {
                break end.clone();
            }
            if !passed.insert(owner) {
                let message = format!("the owners of `{}` go in a circle", shown(&owned));
                return flaw(at, message, "the last owner is a person, whom nobody owns");
            }
            match direct.get(owner) {
                Some(next) => owner = next,
                None => break owner.clone(),
            }
        };
        last.extend(passed.into_iter().filter(|&name| *name != end).map(|name| (name.clone(), end.clone())));
    }
    Ok(last)
}

/// What rules are held against.
struct People<'a> {
    roles: &'a Roles,
    owners: &'a Owners,
}

impl People<'_> {
    /// Roles that exist, none twice.
    fn roles(&self, what: &str, raw: At<Vec<At<String>>>) -> Result<Vec<At<String>>, Flaw> {
        let list = not_empty(what, raw, "name at least one role")?;
        let mut seen = HashSet::new();
        for At { at, value: role } in &list {
            if !self.roles.contains_key(role) {
                let hint = "add it to `[roles]` with its principals, or correct the name";
                return flaw(*at, format!("there is no role `{}`", shown(role)), hint);
            }
            if !seen.insert(role) {
                return flaw(*at, format!("role `{role}` stands twice in `{what}`"), "keep one of the two");
            }
        }
        Ok(list)
    }
}

fn not_empty<T>(what: &str, list: At<Vec<T>>, hint: &'static str) -> Result<Vec<T>, Flaw> {
    if list.value.is_empty() {
        return flaw(list.at, format!("`{what}` is empty"), hint);
    }
    Ok(list.value)
}

/// One of a few words, spelled exactly.
fn word<T: Copy>(raw: Value, words: &[(&str, T)], hint: &'static str) -> Result<At<T>, Flaw> {
    let At { at, value } = raw.string()?;
    match words.iter().find(|(word, _)| *word == value) {
        Some(&(_, value)) => Ok(At { at, value }),
        None => flaw(at, format!("`{}` is none of the words for this", shown(&value)), hint),
    }
}

#[derive(Clone, Copy)]
enum Receipt {
    None,
    Bound,
    Accepted,
}

const RECEIPTS: [(&str, Receipt); 3] =
    [("none", Receipt::None), ("bound", Receipt::Bound), ("accepted", Receipt::Accepted)];

fn rule(line: usize, mut raw: Table, people: &People<'_>) -> Result<Rule, Flaw> {
    raw.only(
        &[
            "refs", "paths", "receipt", "approvals", "approvers", "author_may_approve", "gates", "gate_runners",
            "max_risk", "grade", "enforce",
        ],
        "a rule has `refs`, `paths`, `receipt`, `approvals`, `approvers`, `author_may_approve`, `gates`, `gate_runners`, \
         `max_risk`, `grade` and `enforce`; what is not known is refused, not passed over",
    )?;
    let at = raw.at;
    let Some(refs) = raw.take("refs") else {
        let hint = "name its refs; `refs = [\"refs/heads/*\"]` is every branch";
        return flaw(at, "a rule without `refs`", hint);
    };
    let refs = refs_of(refs)?;
    let paths = raw.take("paths").map_or(Ok(PathPatterns::everything()), paths_of)?;
    let receipt = requirement(&mut raw, people)?;
    let (gates, gate_runners) = gates_of(&mut raw, people)?;

    let grade = raw.take("grade").map(|raw| {
        let words = Grade::ALL.map(|grade| (grade.as_str(), grade));
        word(raw, &words, "write `commit`, `tree`, `patch` or `lines`")
    });
    let max_risk = raw.take("max_risk").map(|raw| {
        let words: Vec<_> = Risk::ALL.iter().map(|risk| (risk.as_str(), *risk)).collect();
        word(raw, &words, "write `low`, `medium`, `high` or `critical`")
    });
    let enforce = raw.take("enforce").map(|raw| {
        let words = Enforce::ALL.map(|enforce| (enforce.as_str(), enforce));
        word(raw, &words, "write `block` or `warn`")
    });
    let (grade, max_risk, enforce) = (grade.transpose()?, max_risk.transpose()?, enforce.transpose()?);
    if receipt == Requirement::None {
        let useless =
            [("grade", grade.as_ref().map(|at| at.at)), ("max_risk", max_risk.as_ref().map(|at| at.at))];
        refuse_first(useless, |what| {
            (
                format!("`{what}` says nothing beside `receipt = \"none\"`"),
                "ask for a receipt, or delete the line",
            )
        })?;
        if gates.is_empty() {
            let hint = "rules add up and none lifts another: delete it, and leave its paths out of the others with `!`";
            return flaw(at, "a rule that requires nothing", hint);
        }
    }
    Ok(Rule {
        line,
        refs,
        paths,
        receipt,
        gates,
        gate_runners,
        max_risk: max_risk.map(|at| at.value),
        grade: grade.map_or(Grade::Tree, |at| at.value),
        enforce: enforce.map_or(Enforce::Block, |at| at.value),
    })
}

/// Refuses the first of some keys that is there, in the order of the text.
fn refuse_first<const N: usize>(
    keys: [(&str, Option<usize>); N],
    why: impl Fn(&str) -> (String, &'static str),
) -> Result<(), Flaw> {
    let there = keys.into_iter().filter_map(|(key, at)| at.map(|at| (at, key))).min();
    there.map_or(Ok(()), |(at, key)| {
        let (message, hint) = why(key);
        flaw(at, message, hint)
    })
}

fn unfit(at: usize, Unfit { message, hint }: Unfit) -> Flaw {
    Flaw { at, message, hint }
}

fn refs_of(raw: Value) -> Result<Vec<RefPattern>, Flaw> {
    let (mut refs, mut seen) = (Vec::new(), HashSet::new());
    for At { at, value } in not_empty("refs", raw.strings()?, "`refs = [\"refs/heads/*\"]` is every branch")?
    {
        let pattern = RefPattern::parse(&value).map_err(|error| unfit(at, error))?;
        if !seen.insert(value) {
            return flaw(at, format!("`{pattern}` stands twice in `refs`"), "keep one of the two");
        }
        refs.push(pattern);
    }
    Ok(refs)
}

fn paths_of(raw: Value) -> Result<PathPatterns, Flaw> {
    let hint = "name files, or delete the line: then the rule is about all";
    let list = not_empty("paths", raw.strings()?, hint)?;
    let texts: Vec<&String> = list.iter().map(|text| &text.value).collect();
    PathPatterns::parse(&texts).map_err(|(index, error)| unfit(list[index].at, error))
}

fn requirement(raw: &mut Table, people: &People<'_>) -> Result<Requirement, Flaw> {
    let receipt = raw.take("receipt");
    let receipt =
        receipt.map(|raw| word(raw, &RECEIPTS, "write `none`, `bound` or `accepted`")).transpose()?;
    let approvals = raw.take("approvals").map(Value::number).transpose()?;
    let approvers = raw.take("approvers").map(Value::strings).transpose()?;
    let author = raw.take("author_may_approve").map(Value::boolean).transpose()?;
    let accepted = match receipt {
        Some(At { at, value: Receipt::Accepted }) => at,
        other => {
            let useless = [
                ("approvals", approvals.as_ref().map(|at| at.at)),
                ("approvers", approvers.as_ref().map(|at| at.at)),
                ("author_may_approve", author.as_ref().map(|at| at.at)),
            ];
            refuse_first(useless, |what| {
                let message = format!("`{what}` asks for nothing without `receipt = \"accepted\"`");
                (message, "add `receipt = \"accepted\"`, or delete the line")
            })?;
            let none = matches!(other, Some(At { value: Receipt::None, .. }));
            return Ok(if none { Requirement::None } else { Requirement::Bound });
        }
    };
    let Some(approvers) = approvers else {
        let hint = "add `approvers` with the roles whose members may approve";
        return flaw(accepted, "`receipt = \"accepted\"` without `approvers`", hint);
    };
    let approvers = people.roles("approvers", approvers)?;
    let mut members = BTreeSet::new();
    for At { at, value: role } in &approvers {
        for member in &people.roles[role] {
            if let Some(owner) = people.owners.get(member) {
                let (member, owner) = (shown(member), shown(owner));
                let message =
                    format!("role `{role}` cannot approve: its member `{member}` is owned by `{owner}`");
                return flaw(*at, message, "approvers are people: take their agents out of the role");
            }
            members.insert(member);
        }
    }
    let count = match approvals {
        None => 1,
        Some(At { at, value }) if value < 1 => {
            let hint = "ask for at least 1, or for `receipt = \"bound\"`";
            return flaw(at, format!("{value} approvals are no acceptance"), hint);
        }
        Some(At { at, value }) => match usize::try_from(value) {
            Ok(count) if count <= members.len() => count,
            _ => {
                let message =
                    format!("{value} approvals can never be met: the approvers are {}", members.len());
                return flaw(at, message, "ask for fewer, or add principals to the roles");
            }
        },
    };
    Ok(Requirement::Accepted(Approvals {
        count,
        approvers: approvers.into_iter().map(|role| role.value).collect(),
        author_may_approve: author.is_some_and(|author| author.value),
    }))
}

fn gates_of(raw: &mut Table, people: &People<'_>) -> Result<(Vec<Gate>, Vec<String>), Flaw> {
    let gates = raw.take("gates").map(Value::list).transpose()?;
    let runners = raw.take("gate_runners").map(Value::strings).transpose()?;
    let Some(At { at, value: gates }) = gates else {
        return match runners {
            Some(At { at, .. }) => {
                flaw(at, "`gate_runners` without `gates`", "add `gates`, or delete the line")
            }
            None => Ok((Vec::new(), Vec::new())),
        };
    };
    let gates = not_empty("gates", At { at, value: gates }, "name a gate, or delete the line")?;
    let (mut taken, mut seen) = (Vec::new(), HashSet::new());
    for raw in gates {
        let At { at, value: gate } = gate(raw.table()?)?;
        if !seen.insert(gate.name.clone()) {
            return flaw(at, format!("gate `{}` stands twice", shown(&gate.name)), "keep one of the two");
        }
        taken.push(gate);
    }
    let Some(runners) = runners else {
        let hint = "add `gate_runners` with the roles whose gates count";
        return flaw(at, "`gates` without `gate_runners`", hint);
    };
    let runners = people.roles("gate_runners", runners)?;
    Ok((taken, runners.into_iter().map(|role| role.value).collect()))
}

/// A gate, and where its name stands.
fn gate(mut raw: Table) -> Result<At<Gate>, Flaw> {
    raw.only(&["name", "command"], "a gate has `name` and `command`")?;
    let Some(name) = raw.take("name") else {
        return flaw(raw.at, "a gate without a `name`", "name it as `git receipt run --gate NAME` does");
    };
    let At { at, value: name } = name.string()?;
    if name.is_empty() || name.trim() != name || name.chars().any(super::pattern::is_unseen) {
        let hint = "write it as `git receipt run --gate NAME` does, without spaces around it";
        return flaw(at, format!("`{}` is not a gate's name", shown(&name)), hint);
    }
    let Some(command) = raw.take("command") else {
        return Ok(At { at, value: Gate { name, command: None } });
    };
    let command = command.strings()?;
    let (first_at, first) = command.value.first().map_or((command.at, ""), |word| (word.at, &word.value));
    if first.trim().is_empty() {
        let hint = "write the program and each argument as a string of its own, or leave `command` out";
        return flaw(first_at, format!("the command of gate `{}` names no program", shown(&name)), hint);
    }
    if let Some(word) = command.value.iter().find(|word| word.value.contains('\0')) {
        return flaw(
            word.at,
            format!("no command has a NUL, as `{}` has", shown(&word.value)),
            "delete the character",
        );
    }
    let command = command.value.into_iter().map(|word| word.value).collect();
    Ok(At { at, value: Gate { name, command: Some(command) } })
}
