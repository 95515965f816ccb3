//! What an audit found: plain data for every output format.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::policy;

/// What an audit of a range of commits found.
///
/// Two reports of equal content are printed as equal bytes, so whoever builds one also chooses the order of its
/// lists. Nothing sorts them afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditReport {
    /// The commit after which judging began; none where it began with the history.
    pub from: Option<String>,
    /// The last commit judged.
    pub to: String,
    /// The ref that was judged.
    #[serde(rename = "ref")]
    pub r#ref: Option<String>,
    /// Where the policy came from; none when there is none.
    pub policy: Option<String>,
    /// Whether any rule asked for anything. A verdict of `passed` says nothing where this is false.
    pub required: bool,
    /// The answer.
    pub verdict: Verdict,
    /// How many commits were judged.
    pub judged: u64,
    /// Each of them.
    pub commits: Vec<CommitReport>,
    /// Everything found, in the order of the commits; what concerns no commit stands where it was put.
    pub findings: Vec<AuditFinding>,
}

/// One commit and the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommitReport {
    /// Its id.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it, as git says.
    pub author: String,
    /// The merge that brought it.
    pub merged_by: Option<String>,
    /// Whether it is a merge with content that neither side had.
    pub evil: bool,
    /// How closely a receipt is bound to it.
    pub grade: Grade,
    /// The receipts bound to it.
    pub receipts: Vec<String>,
    /// Who approved it.
    pub approved_by: Vec<String>,
    /// The gates that were asked for or found.
    pub gates: Vec<GateFound>,
    /// The numbers of the rules that match it, from 1.
    pub rules: Vec<u64>,
}

/// What is known of one gate for one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateFound {
    /// Its name.
    pub gate: String,
    /// How it went.
    pub result: GateResult,
    /// Who stated that.
    pub by: Option<String>,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditFinding {
    /// Which sort.
    pub code: AuditCode,
    /// How much it weighs.
    pub level: Level,
    /// The commit.
    pub commit: Option<String>,
    /// The number of the rule, from 1.
    pub rule: Option<u64>,
    /// The path in that commit.
    pub path: Option<String>,
    /// The line in the new file, from 1.
    pub line: Option<u64>,
    /// What is wrong, for people: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Declares a choice with its stable words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The stable word, as in JSON.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// The answer of an audit.
    Verdict {
        /// Everything asked for is there.
        Passed = "passed",
        /// The same, with something to look at.
        Warned = "warned",
        /// Evidence is missing that would decide.
        Incomplete = "incomplete",
        /// Something asked for is not there.
        Failed = "failed",
    }
}

impl From<Option<policy::Grade>> for Grade {
    fn from(grade: Option<policy::Grade>) -> Self {
        match grade {
            Some(policy::Grade::Commit) => Grade::Commit,
            Some(policy::Grade::Tree) => Grade::Tree,
            Some(policy::Grade::Patch) => Grade::Patch,
            Some(policy::Grade::Lines) => Grade::Lines,
            None => Grade::None,
        }
    }
}

impl Verdict {
    /// What findings add up to: the worst of them decides.
    pub fn of(findings: &[AuditFinding]) -> Verdict {
        match findings.iter().map(|finding| finding.level).max() {
            Some(Level::Error) => Verdict::Failed,
            Some(Level::Incomplete) => Verdict::Incomplete,
            Some(Level::Warning) => Verdict::Warned,
            None => Verdict::Passed,
        }
    }

    /// The exit code it asks for.
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Passed | Verdict::Warned => 0,
            Verdict::Failed => 1,
            Verdict::Incomplete => 4,
        }
    }
}

words! {
    /// How much a finding weighs, the lightest first.
    Level {
        /// Worth knowing; changes no verdict but to `warned`.
        Warning = "warning",
        /// Evidence is missing that would decide.
        Incomplete = "incomplete",
        /// Something asked for is not there.
        Error = "error",
    }
}

words! {
    /// How the evidence that was relied on was found, the closest first.
    Grade {
        /// By the commit's own id.
        Commit = "commit",
        /// The same tree upon the same tree, as after a reworded message.
        Tree = "tree",
        /// All lines of one receipt, put on another base.
        Patch = "patch",
        /// Some lines of a receipt, or those of several together.
        Lines = "lines",
        /// None was relied on.
        None = "none",
    }
}

words! {
    /// How a gate went.
    GateResult {
        /// It passed.
        Passed = "passed",
        /// It failed.
        Failed = "failed",
        /// Nobody stated a result.
        Missing = "missing",
    }
}

/// Declares [`AuditCode`] with its tables.
macro_rules! codes {
    ($($variant:ident = $code:literal, $slug:literal, $doc:literal;)+) => {
        /// The kind of a finding of an audit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub enum AuditCode {
            $(#[doc = $doc] #[serde(rename = $code)] $variant,)+
        }

        impl AuditCode {
            /// Every code, in order.
            pub const ALL: &'static [AuditCode] = &[$(AuditCode::$variant,)+];

            /// The stable number, as `A701`.
            pub const fn number(self) -> &'static str {
                match self { $(AuditCode::$variant => $code,)+ }
            }

            /// The stable name, as `no-receipt`.
            pub const fn slug(self) -> &'static str {
                match self { $(AuditCode::$variant => $slug,)+ }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(AuditCode::$variant => $doc,)+ }
            }
        }
    };
}

codes! {
    NoReceipt = "A701", "no-receipt", "No receipt is bound to the commit.";
    NotAccepted = "A702", "not-accepted", "The commit has changes that nobody accepted.";
    ApprovalsMissing = "A703", "approvals-missing", "Fewer people approved the commit than the rule asks for.";
    SelfApproval = "A704", "self-approval", "The commit was approved by nobody but who made it.";
    GateMissing = "A705", "gate-missing", "A gate that the rule asks for has no result for the commit.";
    GateFailed = "A706", "gate-failed", "A gate that the rule asks for failed for the commit.";
    RiskTooHigh = "A707", "risk-too-high", "The commit's risk is above what the rule allows.";
    GradeTooWeak = "A708", "grade-too-weak", "The receipt is bound to the commit less closely than the rule asks for.";
    OffFirstParent = "A709", "off-first-parent", "The commit did not come in the way the rule asks for: the first-parent history.";
    PolicyBroken = "A710", "policy-broken", "The policy cannot be read.";
    EvilMerge = "A711", "evil-merge", "The merge has content that neither of its sides had.";
    UnknownKind = "A712", "unknown-kind", "The evidence has an entry of a kind that this version does not know.";
    UnknownSigner = "A713", "unknown-signer", "The evidence is signed by a key that is not among the known ones.";
    EvidenceMissing = "A714", "evidence-missing", "Evidence that receipts name is not in the repository.";
    SignersBroken = "A715", "signers-broken", "The list of signers cannot be read.";
    DeletedRef = "A716", "deleted-ref", "A ref that should be judged is gone.";
    BrokenEvidence = "A717", "broken-evidence", "A chain that the evidence stands in is broken, cut or not whole here.";
}

impl std::fmt::Display for AuditCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number(), self.slug())
    }
}

impl AuditReport {
    /// How many findings have a level.
    pub fn count(&self, level: Level) -> u64 {
        self.findings.iter().filter(|finding| finding.level == level).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_slugs_are_those_promised() {
        let all: Vec<_> = AuditCode::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            [
                "A701 no-receipt",
                "A702 not-accepted",
                "A703 approvals-missing",
                "A704 self-approval",
                "A705 gate-missing",
                "A706 gate-failed",
                "A707 risk-too-high",
                "A708 grade-too-weak",
                "A709 off-first-parent",
                "A710 policy-broken",
                "A711 evil-merge",
                "A712 unknown-kind",
                "A713 unknown-signer",
                "A714 evidence-missing",
                "A715 signers-broken",
                "A716 deleted-ref",
                "A717 broken-evidence",
            ]
        );
        assert_eq!(serde_json::to_value(AuditCode::NoReceipt).unwrap(), "A701");
    }

    #[test]
    fn the_worst_finding_decides() {
        let of = |levels: &[Level]| {
            let findings: Vec<_> = levels
                .iter()
                .map(|&level| AuditFinding {
                    code: AuditCode::NoReceipt,
                    level,
                    commit: None,
                    rule: None,
                    path: None,
                    line: None,
                    message: String::new(),
                    hint: String::new(),
                })
                .collect();
            let verdict = Verdict::of(&findings);
            (verdict.word(), verdict.exit_code())
        };
        assert_eq!(of(&[]), ("passed", 0));
        assert_eq!(of(&[Level::Warning]), ("warned", 0));
        assert_eq!(of(&[Level::Incomplete, Level::Warning]), ("incomplete", 4));
        assert_eq!(of(&[Level::Incomplete, Level::Error, Level::Warning]), ("failed", 1));
    }
}
