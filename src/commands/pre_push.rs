//! What `git push` asks before it sends anything.

use super::audit::{Request, audit, empty};
use super::{Context, user_error};
use crate::domain::audit::judge::weigh;
use crate::domain::audit::report::{AuditCode, AuditFinding, AuditReport, Level, Verdict};
use crate::domain::ids::Oid;
use crate::domain::policy::Enforce;

/// One ref that goes out, as git's `githooks` page has it: local name and id, remote name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The object that is pushed; none where the ref is deleted.
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

/// Audits every branch that goes out, and returns the reports of those that a rule is about. What cannot be judged is
/// a report too, so that it stops nothing else from being judged.
///
/// # Errors
/// When refs cannot be read.
pub fn judge(ctx: &Context, remote: &str, updates: &[Update]) -> anyhow::Result<Vec<AuditReport>> {
    let trusted = trusted(ctx, remote)?;
    let mut reports = Vec::new();
    for update in updates {
        // Receipts and their notes are judged by `verify` wherever they arrive.
        if update.name.starts_with("refs/receipts/") || update.name == crate::store::names::NOTES {
            continue;
        }
        let push = Push { ctx, update, trusted };
        let report = push.report().unwrap_or_else(|error| push.unjudged(&error));
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

/// The tip of the remote's default branch, as far as this clone knows. A branch of this clone's own says nothing about
/// what the remote has agreed to.
fn trusted(ctx: &Context, remote: &str) -> anyhow::Result<Option<Oid>> {
    let Some(name) = ctx.store.remote_called(remote) else { return Ok(None) };
    let default = ctx.store.default_branch()?.map(|(name, _)| name);
    let default = default.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    for branch in ["HEAD"].into_iter().chain(default).chain(["main", "master"]) {
        if let Some(tip) = ctx.store.find_ref(&format!("refs/remotes/{name}/{branch}"))? {
            return Ok(Some(tip));
        }
    }
    Ok(None)
}

/// One ref on its way.
struct Push<'a> {
    ctx: &'a Context,
    update: &'a Update,
    /// What the remote's default branch is at.
    trusted: Option<Oid>,
}

impl Push<'_> {
    fn report(&self) -> anyhow::Result<AuditReport> {
        let store = &self.ctx.store;
        let there = match self.update.remote {
            Some(there) if !store.has_object(there) => return Ok(self.unknown(there)),
            Some(there) => store.resolve_commit(&there.to_hex())?,
            None => None,
        };
        let Some(local) = self.update.local else { return Ok(self.deleted(there)) };
        let Some(to) = store.resolve_commit(&local.to_hex())? else {
            let message =
                format!("`{}` would name no commit, so nothing says who agreed to it", self.update.name);
            return Ok(self.only(
                AuditCode::NotAccepted,
                Level::Error,
                message,
                "push a branch or a tag of a commit",
            ));
        };
        let from = match (there, self.trusted) {
            (Some(there), _) => Some(there),
            // A branch that is new there begins where it leaves what the remote has.
            (None, Some(trusted)) => store.merge_base(trusted, to)?,
            (None, None) => None,
        };
        let policy_from = self.trusted.filter(|_| there.is_none());
        audit(self.ctx, &Request { policy_from, ..self.request(from, to) })
    }

    fn request(&self, from: Option<Oid>, to: Oid) -> Request {
        Request { from, to, ref_name: Some(self.update.name.clone()), policy_from: None }
    }

    /// How strict the policy that is known is about the ref: the remote's, else that of the files here.
    fn strictest(&self) -> anyhow::Result<Option<Enforce>> {
        let here = self.ctx.store.head()?.commit;
        let at = self.trusted.or(here);
        Ok(at.and_then(|commit| self.ctx.strictest_at(commit, Some(&self.update.name))))
    }

    /// A branch that goes: what was judged there would be gone.
    fn deleted(&self, there: Option<Oid>) -> AuditReport {
        let message = format!("`{}` would be deleted at the remote", self.update.name);
        let hint = "leave it, or take the ref out of the policy by a change that its rules let in; `git push \
                    --no-verify` asks nobody here, and a server may still";
        let mut report = self.only(AuditCode::DeletedRef, Level::Error, message, hint);
        report.from = there.map(|there| there.to_hex());
        report
    }

    /// What the remote has is not here, so nobody can tell what the push adds to it.
    fn unknown(&self, there: Oid) -> AuditReport {
        let message = format!("`{}` is at `{}` there, which is not here", self.update.name, there.to_hex());
        let mut report =
            self.only(AuditCode::EvidenceMissing, Level::Incomplete, message, "run `git fetch` first");
        report.from = Some(there.to_hex());
        report
    }

    fn unjudged(&self, error: &anyhow::Error) -> AuditReport {
        let message = format!("`{}` cannot be judged: {error:#}", self.update.name);
        self.only(AuditCode::EvidenceMissing, Level::Incomplete, message, "`git receipt verify` may say more")
    }

    /// A report of one finding, which counts as far as a rule is about the ref.
    fn only(&self, code: AuditCode, level: Level, message: String, hint: &str) -> AuditReport {
        let to = self.update.local.or(self.update.remote).unwrap_or(self.ctx.store.null_id());
        let mut report = empty(&self.request(None, to));
        // Where even that cannot be read, it is taken for the strictest.
        let Some(enforce) = self.strictest().unwrap_or(Some(Enforce::Block)) else { return report };
        report.required = true;
        report.findings.push(AuditFinding {
            code,
            level: weigh(enforce, level),
            commit: None,
            rule: None,
            path: None,
            line: None,
            message,
            hint: hint.to_owned(),
        });
        report.verdict = Verdict::of(&report.findings);
        report
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
