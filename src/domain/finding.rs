//! What a check can find, each with a code that stays.

use super::ids::{ChainId, Oid, ReceiptId};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Worth knowing; changes no verdict.
    Warning,
    /// The evidence is incomplete: exit code 4.
    Incomplete,
    /// The answer is no: exit code 1.
    Broken,
}

/// Declares [`Code`] with its tables.
macro_rules! codes {
    ($($variant:ident = $code:literal, $slug:literal, $weight:ident, $doc:literal;)+) => {
        /// The kind of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable number, as `E101`.
            pub const fn number(self) -> &'static str {
                match self { $(Code::$variant => $code,)+ }
            }

            /// The stable name, as `bad-signature`.
            pub const fn slug(self) -> &'static str {
                match self { $(Code::$variant => $slug,)+ }
            }

            /// How much it weighs.
            pub const fn weight(self) -> Weight {
                match self { $(Code::$variant => Weight::$weight,)+ }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $doc,)+ }
            }
        }
    };
}

codes! {
    BadSignature = "E101", "bad-signature", Broken, "The signature is not of this body by this key.";
    BadEnvelope = "E102", "bad-envelope", Broken, "The signature's envelope or armour is not in its one form.";
    BadLayout = "E103", "bad-layout", Broken, "The commit does not have the parts of an entry.";
    BadCommit = "E104", "bad-commit", Broken, "The commit's bytes are not those that body, signature and links give.";
    BadBody = "E105", "bad-body", Broken, "The body is not canonical, or a field of it is not what the format says.";
    BadData = "E106", "bad-data", Broken, "The data does not fit the kind.";
    MissingObject = "E107", "missing-object", Broken, "An object of the chain is not in the repository, or cannot be read.";
    WrongSeq = "E201", "wrong-seq", Broken, "The entry's seq is not one more than that of the entry before.";
    WrongPrev = "E202", "wrong-prev", Broken, "The entry's prev is not the digest of the entry before.";
    WrongChain = "E203", "wrong-chain", Broken, "The entry names another chain than the one it stands in.";
    WrongRepo = "E204", "wrong-repo", Broken, "The entry belongs to another project.";
    WrongKey = "E205", "wrong-key", Broken, "The entry is signed by another key than the chain's.";
    WrongAuthor = "E206", "wrong-author", Broken, "The commit's author is not the one of the chain's opening.";
    TimeBackwards = "E207", "time-backwards", Broken, "The entry's time lies before that of the entry before.";
    BadOpening = "E208", "bad-opening", Broken, "A chain does not start with its opening, or has one elsewhere.";
    AfterClosing = "E209", "after-closing", Broken, "An entry follows the closing of its chain, or the closing miscounts.";
    WrongParents = "E210", "wrong-parents", Broken, "The commit's parents are not the entry before and the cited entries.";
    BadCitation = "E211", "bad-citation", Broken, "A citation does not name the entry that it stands for.";
    Truncated = "E212", "truncated", Broken, "An entry that others name is gone: its chain was cut.";
    MissingChain = "E213", "missing-chain", Broken, "A chain that others name is gone.";
    Equivocation = "E214", "equivocation", Broken, "Two different entries claim one place in a chain.";
    Revoked = "E215", "revoked", Broken, "The entry's key is revoked and the entry is not among its last good heads.";
    NotOwner = "E301", "not-owner", Broken, "Only the receipt's owner may state this.";
    IllegalMove = "E302", "illegal-move", Broken, "The receipt's state does not allow this.";
    OpenedTwice = "E303", "opened-twice", Broken, "The receipt was opened before.";
    NotOpened = "E304", "not-opened", Broken, "The receipt was never opened.";
    Superseded = "E305", "superseded", Broken, "Lines of a superseded revision were decided.";
    BadArtifact = "E401", "bad-artifact", Broken, "An artifact's bytes are not those that the entry names.";
    WrongBinding = "E402", "wrong-binding", Broken, "A commit does not have the tree that its binding states.";
    BadLines = "E403", "bad-lines", Broken, "A proposal's table of lines is not valid, or does not lead from its base to its tree.";
    WrongApplication = "E404", "wrong-application", Broken, "A commit is not what the lines give that it is said to land, or a proposal not the rollback that it says.";
    UnknownSigner = "I501", "unknown-signer", Incomplete, "The signer is not among the known keys.";
    Shallow = "I502", "shallow", Incomplete, "The history ends here because the clone is shallow.";
    Unproven = "I503", "unproven-landing", Incomplete, "Lines landed in a commit that is here, and what would show it is not.";
    UnknownKind = "W601", "unknown-kind", Warning, "The entry is of a kind or has data that this version does not know.";
    Late = "W602", "late", Warning, "The entry lost a race to another one and changes nothing.";
    NoteDisagrees = "W603", "note-disagrees", Warning, "A note names something else than the entries do.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number(), self.slug())
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which sort.
    pub code: Code,
    /// The chain it is in.
    pub chain: Option<ChainId>,
    /// The place in the chain.
    pub seq: Option<u64>,
    /// The commit.
    pub commit: Option<Oid>,
    /// The receipt concerned.
    pub receipt: Option<ReceiptId>,
    /// What is wrong, for people: lower case, no full stop.
    pub message: String,
}

/// The exit code that a list of findings asks for: 1 outranks 4.
pub fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.code.weight()).max() {
        Some(Weight::Broken) => 1,
        Some(Weight::Incomplete) => 4,
        Some(Weight::Warning) | None => 0,
    }
}
