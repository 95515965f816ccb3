//! What `git push` asks before it sends anything.

use anyhow::Context as _;

use super::audit::{Request, audit};
use super::{Context, user_error};
use crate::domain::audit::report::{AuditCode, AuditFinding, AuditReport, Level, Verdict};
use crate::domain::ids::Oid;

/// One ref that goes out, as git's `githooks` page has it: local name and id, remote name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The commit that is pushed; none where the ref is deleted.
    pub local: Option<Oid>,
    /// The name at the remote.
    pub name: String,
    /// What the remote has; none where the ref is new there.
    pub remote: Option<Oid>,
}

/// Reads what git hands to the hook.
///
/// # Errors
/// Names the line that is none of its.
pub fn read(input: &str) -> anyhow::Result<Vec<Update>> {
    let id = |hex: &str| -> Option<Option<Oid>> {
        let zeros = hex.len() >= 40 && hex.bytes().all(|byte| byte == b'0');
        if zeros { Some(None) } else { Oid::from_hex(hex).map(Some) }
    };
    let lines = input.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let update = match words.as_slice() {
                [_, local, name, remote] => id(local).zip(id(remote)).map(|(local, remote)| Update {
                    local,
                    name: (*name).to_owned(),
                    remote,
                }),
                _ => None,
            };
            update.ok_or_else(|| {
                user_error(
                    format!("`{}` is no line of `pre-push`", line.escape_debug()),
                    "git gives local ref, local id, remote ref and remote id",
                )
            })
        })
        .collect()
}

/// Audits every branch that goes out, and returns the reports of those that a rule is about.
///
/// # Errors
/// When the repository cannot be read.
pub fn judge(ctx: &Context, remote: &str, updates: &[Update]) -> anyhow::Result<Vec<AuditReport>> {
    let trusted = trusted(ctx, remote)?;
    let mut reports = Vec::new();
    for update in updates {
        // Receipts and their notes are judged by `verify` wherever they arrive.
        if update.name.starts_with("refs/receipts/") || update.name == crate::store::names::NOTES {
            continue;
        }
        let report = match (update.local, update.remote) {
            (None, _) => deleted(ctx, update, trusted)?,
            (Some(local), Some(there)) if !ctx.store.has_object(there) => {
                unknown(update, local, there, trusted.is_some())
            }
            (Some(local), Some(there)) => {
                let Some(to) = ctx.store.resolve_commit(&local.to_hex())? else { continue };
                let from = ctx.store.resolve_commit(&there.to_hex())?;
                let request = Request { from, to, ref_name: Some(update.name.clone()), policy_from: None };
                audit(ctx, &request)?
            }
            (Some(local), None) => {
                let Some(to) = ctx.store.resolve_commit(&local.to_hex())? else { continue };
                // A branch that is new there begins where it leaves what the remote has.
                let from = match trusted {
                    Some(trusted) => ctx.store.merge_base(trusted, to)?,
                    None => None,
                };
                let ref_name = Some(update.name.clone());
                audit(ctx, &Request { from, to, ref_name, policy_from: trusted })?
            }
        };
        if report.required {
            reports.push(report);
        }
    }
    Ok(reports)
}

/// Whether a push has to stop.
pub fn stops(reports: &[AuditReport]) -> bool {
    reports.iter().any(|report| matches!(report.verdict, Verdict::Failed | Verdict::Incomplete))
}

/// The tip of the remote's default branch, as far as this clone knows.
fn trusted(ctx: &Context, remote: &str) -> anyhow::Result<Option<Oid>> {
    let head = ctx.store.find_ref(&format!("refs/remotes/{remote}/HEAD"))?;
    if head.is_some() {
        return Ok(head);
    }
    let local = ctx.store.default_branch()?;
    let Some((name, commit)) = local else { return Ok(None) };
    let short = name.rsplit('/').next().unwrap_or(&name).to_owned();
    Ok(ctx.store.find_ref(&format!("refs/remotes/{remote}/{short}"))?.or(Some(commit)))
}

/// A branch that goes: what was judged there would be gone.
fn deleted(ctx: &Context, update: &Update, trusted: Option<Oid>) -> anyhow::Result<AuditReport> {
    let at = update.remote.filter(|commit| ctx.store.has_object(*commit)).or(trusted);
    let at = at.context("the deleted branch is not known here")?;
    let request =
        Request { from: Some(at), to: at, ref_name: Some(update.name.clone()), policy_from: Some(at) };
    let mut report = audit(ctx, &request)?;
    if super::audit::asks_of(ctx, at, Some(&update.name))? {
        report.required = true;
        report.findings.push(finding(
            AuditCode::DeletedRef,
            format!("`{}` would be deleted at the remote", update.name),
            "take the ref out of the policy first, by a change that its rules let in",
        ));
        report.verdict = Verdict::of(&report.findings);
    }
    Ok(report)
}

/// What the remote has is not here, so nobody can tell what the push adds to it.
fn unknown(update: &Update, local: Oid, there: Oid, required: bool) -> AuditReport {
    let findings = vec![finding(
        AuditCode::EvidenceMissing,
        format!("`{}` is at `{}` there, which is not here", update.name, there.to_hex()),
        "run `git fetch` first",
    )];
    AuditReport {
        from: Some(there.to_hex()),
        to: local.to_hex(),
        r#ref: Some(update.name.clone()),
        policy: None,
        required,
        verdict: Verdict::of(&findings),
        judged: 0,
        commits: Vec::new(),
        findings,
    }
}

fn finding(code: AuditCode, message: String, hint: &str) -> AuditFinding {
    AuditFinding {
        code,
        level: Level::Error,
        commit: None,
        rule: None,
        path: None,
        line: None,
        message,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_git_are_read_and_others_named() {
        let (one, zero) = ("1".repeat(40), "0".repeat(40));
        let read_one = read(&format!("refs/heads/a {one} refs/heads/b {zero}\n\n")).unwrap();
        assert_eq!((read_one[0].remote, read_one[0].name.as_str()), (None, "refs/heads/b"));
        assert!(read_one[0].local.is_some());
        let deleted = read(&format!("(delete) {zero} refs/heads/b {one}")).unwrap();
        assert_eq!(deleted[0].local, None);
        for line in ["x", "a b c d", &format!("a {one} b")] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
