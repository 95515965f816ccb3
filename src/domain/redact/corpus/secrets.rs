//! The kinds of secrets, shaped as their providers describe them.

use super::places::{NAMED, OPEN, Place};
use super::{ALNUM, BASE32, BASE64, DIGITS, Dice, HEX, LOWER, Secret, UPPER, URL64};

type Make = Box<dyn Fn(&mut Dice) -> Secret>;
pub(super) type Kind = (&'static str, Make, &'static [Place]);

/// A secret that is a head and a run of `len` characters.
fn token(head: [&'static str; 2], len: usize, alphabet: &'static str) -> Make {
    Box::new(move |dice| {
        let body = dice.text(len, alphabet);
        Secret { text: format!("{}{}{body}", head[0], head[1]), cores: vec![body] }
    })
}

/// A secret described by a pattern: `A`, `a`, `H`, `D`, `U`, `B`, `V` and a number stand for so many of an
/// alphabet; everything in brackets for itself.
fn shaped(pattern: &'static str) -> Make {
    Box::new(move |dice| {
        let (mut text, mut cores) = (String::new(), Vec::new());
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if let Some(literal) = rest.strip_prefix('[') {
                let end = literal.find(']').expect("brackets close");
                text += &literal[..end];
                rest = &literal[end + 1..];
                continue;
            }
            let digits = rest[1..].chars().take_while(char::is_ascii_digit).count();
            let len = rest[1..=digits].parse().expect("a number");
            let alphabet = match first {
                'A' => ALNUM,
                'a' => LOWER,
                'H' => HEX,
                'D' => DIGITS,
                'U' => UPPER,
                'T' => BASE32,
                'B' => BASE64,
                'V' => URL64,
                _ => unreachable!("an alphabet"),
            };
            let part = dice.text(len, alphabet);
            // Short parts and numbers are counters and accounts.
            if len > 12 && first != 'D' {
                cores.push(part.clone());
            }
            text += &part;
            rest = &rest[1 + digits..];
        }
        Secret { text, cores }
    })
}

/// Base64 of JSON, as the parts of a JWT are.
fn json64(json: &str) -> String {
    encode(json.as_bytes(), URL64).trim_end_matches('=').to_owned()
}

pub(super) fn encode(bytes: &[u8], alphabet: &str) -> String {
    let letters = alphabet.as_bytes();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = (word >> (18 - 6 * at)) as usize & 63;
            out.push(if at <= chunk.len() { char::from(letters[sextet]) } else { '=' });
        }
    }
    out
}

fn jwt(algorithm: &'static str, signature: usize) -> Make {
    Box::new(move |dice| {
        let header = json64(&format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
        let (sub, name) = (dice.text(10, DIGITS), dice.text(9, LOWER));
        let claims = json64(&format!("{{\"sub\":\"{sub}\",\"name\":\"{name}\",\"iat\":1516239022}}"));
        let signature = dice.text(signature, URL64);
        Secret { text: format!("{header}.{claims}.{signature}"), cores: vec![signature] }
    })
}

/// A PEM or PGP block with lines of `width`.
fn armoured(label: &'static str, headers: &'static str, width: usize, lines: usize) -> Make {
    Box::new(move |dice| {
        let dashes = if label.starts_with("SSH2") { "---- " } else { "-----" };
        let mut end = dashes.to_owned();
        end = end.chars().rev().collect();
        let body: Vec<String> = (0..lines)
            .map(|n| if n + 1 == lines { dice.text(24, BASE64) + "=" } else { dice.text(width, BASE64) })
            .collect();
        let text = format!(
            "{dashes}{} {label}{end}\n{headers}{}\n{dashes}END {label}{end}",
            "BEGIN",
            body.join("\n")
        );
        Secret { text, cores: body }
    })
}

/// A private key file as one line of base64, as kubeconfig and CI variables have it.
fn packed(label: &'static str) -> Make {
    let make = armoured(label, "", 64, 26);
    Box::new(move |dice| {
        let text = encode(make(dice).text.as_bytes(), BASE64);
        let core = text[44..].to_owned();
        Secret { text, cores: vec![core] }
    })
}

fn putty() -> Make {
    Box::new(move |dice| {
        let lines: Vec<String> = (0..8).map(|_| dice.text(64, BASE64)).collect();
        let (public, mac) = (dice.text(64, BASE64), dice.text(40, HEX));
        let text = format!(
            "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nComment: me\nPublic-Lines: 1\n{public}\n\
             Private-Lines: {}\n{}\nPrivate-MAC: {mac}",
            lines.len(),
            lines.join("\n")
        );
        Secret { text, cores: lines }
    })
}

/// A value without a shape of its own.
fn value(len: usize, alphabet: &'static str) -> Make {
    token(["", ""], len, alphabet)
}

/// What people make up.
fn chosen() -> Make {
    Box::new(|dice| {
        let word =
            dice.pick::<str>(&["hunter", "Summer", "letmein", "P@ssw0rd", "winter", "dragon", "Passw0rd"]);
        let text = format!("{word}{}{}", 10 + dice.below(9990), dice.pick::<str>(&["", "!", "#", "@x"]));
        Secret { cores: vec![text.clone()], text }
    })
}

/// What password managers make up, without what shells and query strings would need to quote.
fn managed() -> Make {
    Box::new(|dice| {
        let text = format!(
            "{}{}",
            dice.text(1, ALNUM),
            dice.text(22, "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!@^*+~-_.")
        ) + &dice.text(1, ALNUM);
        Secret { cores: vec![text.clone()], text }
    })
}

fn uuid() -> Make {
    Box::new(|dice| {
        let parts = [8, 4, 4, 4, 12].map(|len| dice.text(len, HEX));
        Secret { text: parts.join("-"), cores: vec![parts.join("-")] }
    })
}

/// Every kind with the places it is planted in: those that say nothing about it where it has a shape of its
/// own, those that name it where it has none.
pub(super) fn kinds() -> Vec<Kind> {
    use super::places as p;
    vec![
        ("private key PKCS#1", armoured("RSA PRIVATE KEY", "", 64, 13), p::BLOCKS),
        ("private key PKCS#8", armoured("PRIVATE KEY", "", 64, 26), p::BLOCKS),
        ("private key SEC1", armoured("EC PRIVATE KEY", "", 64, 4), p::BLOCKS),
        ("private key DSA", armoured("DSA PRIVATE KEY", "", 64, 8), p::BLOCKS),
        ("private key encrypted PKCS#8", armoured("ENCRYPTED PRIVATE KEY", "", 64, 27), p::BLOCKS),
        (
            "private key encrypted PKCS#1",
            armoured(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123456789ABCDEF0123456789ABCDEF\n\n",
                64,
                13,
            ),
            p::BLOCKS,
        ),
        ("private key OpenSSH", armoured("OPENSSH PRIVATE KEY", "", 70, 6), p::BLOCKS),
        (
            "private key SSH2",
            armoured("SSH2 ENCRYPTED PRIVATE KEY", "Comment: \"rsa-key\"\n", 70, 8),
            p::BLOCKS,
        ),
        ("private key PGP", armoured("PGP PRIVATE KEY BLOCK", "\n", 64, 12), p::BLOCKS),
        (
            "private key PGP with headers",
            armoured("PGP PRIVATE KEY BLOCK", "Version: GnuPG v2\nComment: made, by hand\n\n", 64, 12),
            p::BLOCKS,
        ),
        ("private key PuTTY", putty(), p::BLOCKS),
        ("private key base64 of PKCS#1", packed("RSA PRIVATE KEY"), OPEN),
        ("private key base64 of PKCS#8", packed("PRIVATE KEY"), OPEN),
        ("private key base64 of OpenSSH", packed("OPENSSH PRIVATE KEY"), OPEN),
        ("private key base64 of SEC1", packed("EC PRIVATE KEY"), OPEN),
        ("service account of Google", armoured("PRIVATE KEY", "", 64, 26), p::SERVICE_ACCOUNT),
        ("age key", token(["AGE-SECRET", "-KEY-1"], 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"), OPEN),
        ("AWS access key id", token(["AK", "IA"], 16, BASE32), OPEN),
        ("AWS temporary key id", token(["AS", "IA"], 16, BASE32), OPEN),
        ("AWS secret access key", value(40, BASE64), p::AWS),
        ("AWS session token", token(["IQoJb3JpZ2lu", "X2Vj"], 340, BASE64), p::AWS_SESSION),
        ("GitHub personal token", token(["gh", "p_"], 36, ALNUM), OPEN),
        ("GitHub OAuth token", token(["gh", "o_"], 36, ALNUM), OPEN),
        ("GitHub user token", token(["gh", "u_"], 36, ALNUM), OPEN),
        ("GitHub installation token", token(["gh", "s_"], 36, ALNUM), OPEN),
        ("GitHub refresh token", token(["gh", "r_"], 76, ALNUM), OPEN),
        ("GitHub fine-grained token", shaped("[github][_pat_]A22[_]A59"), OPEN),
        ("GitLab personal token", token(["gl", "pat-"], 20, URL64), OPEN),
        ("GitLab routable token", shaped("[gl][pat-]V27[.01.]a9"), OPEN),
        ("GitLab OAuth secret", token(["gl", "oas-"], 64, HEX), OPEN),
        ("GitLab deploy token", token(["gl", "dt-"], 20, URL64), OPEN),
        ("GitLab runner token", token(["gl", "rt-"], 20, URL64), OPEN),
        ("GitLab registered runner token", token(["gl", "rtr-"], 20, URL64), OPEN),
        ("GitLab job token", shaped("[gl][cbt-64_]V20"), OPEN),
        ("GitLab trigger token", token(["gl", "ptt-"], 40, HEX), OPEN),
        ("GitLab feed token", token(["gl", "ft-"], 20, URL64), OPEN),
        ("GitLab mail token", token(["gl", "imt-"], 25, LOWER), OPEN),
        ("GitLab agent token", token(["gl", "agent-"], 50, URL64), OPEN),
        ("GitLab SCIM token", token(["gl", "soat-"], 20, URL64), OPEN),
        ("GitLab feature flag token", token(["gl", "ffct-"], 20, URL64), OPEN),
        ("GitLab workspace token", token(["gl", "wt-"], 20, URL64), OPEN),
        ("GitLab registration token", token(["GR1348", "941"], 20, URL64), OPEN),
        ("Slack bot token", shaped("[xo][xb-]D12[-]D13[-]A24"), OPEN),
        ("Slack user token", shaped("[xo][xp-]D12[-]D12[-]D13[-]H32"), OPEN),
        ("Slack legacy token", shaped("[xo][xa-2-]D12[-]D12[-]D13[-]H32"), OPEN),
        ("Slack client token", shaped("[xo][xc-]D12[-]D12[-]D13[-]H64"), OPEN),
        ("Slack configuration token", shaped("[xoxe.][xoxp-1-]A160"), OPEN),
        ("Slack refresh token", shaped("[xo][xe-1-]A146"), OPEN),
        ("Slack app token", shaped("[xa][pp-1-]U11[-]D13[-]H64"), OPEN),
        ("Slack workflow token", shaped("[xw][fp-]D12[-]A40"), OPEN),
        ("Slack webhook", shaped("[https://hooks.slack][.com/services/]U9[/]U11[/]A24"), OPEN),
        (
            "Slack workflow webhook",
            shaped("[https://hooks.slack][.com/workflows/]U9[/]U11[/]D18[/]A24"),
            OPEN,
        ),
        ("Stripe secret key", token(["sk_", "live_"], 24, ALNUM), OPEN),
        ("Stripe secret key, long", token(["sk_", "live_51"], 97, ALNUM), OPEN),
        ("Stripe test key", token(["sk_", "test_"], 24, ALNUM), OPEN),
        ("Stripe restricted key", token(["rk_", "live_"], 24, ALNUM), OPEN),
        ("Stripe webhook secret", token(["wh", "sec_"], 32, ALNUM), OPEN),
        ("Google API key", token(["AI", "za"], 35, URL64), OPEN),
        ("Google client secret", token(["GOC", "SPX-"], 28, URL64), OPEN),
        ("Google access token", shaped("[ya][29.a0]V160"), OPEN),
        ("Google refresh token", shaped("[1][//0]V60"), OPEN),
        ("Azure storage key", value(86, BASE64), p::AZURE_STORAGE),
        ("Azure storage key by itself", shaped("B76[+A][St]B6[==]"), OPEN),
        ("Azure Cosmos key by itself", shaped("A76[AC][Db]A6[==]"), OPEN),
        ("Azure service bus key", value(43, BASE64), p::AZURE_BUS),
        ("Azure shared access signature", value(43, ALNUM), p::AZURE_SAS),
        ("Azure client secret", shaped("V3[8Q][~]V34"), OPEN),
        ("Azure DevOps token", shaped("A76[AZ][DO]A4"), OPEN),
        ("Azure Functions key", shaped("V44[Az][Fu]V6[==]"), OPEN),
        ("npm token", token(["np", "m_"], 36, ALNUM), OPEN),
        ("npm token of old", uuid(), p::NPMRC),
        ("PyPI token", shaped("[pypi-][AgEIcHlwaS5vcmc]V160"), OPEN),
        ("OpenAI key", shaped("[sk][-]A20[T3BlbkFJ]A20"), OPEN),
        ("OpenAI project key", shaped("[sk][-proj-]V74[T3BlbkFJ]V74"), OPEN),
        ("OpenAI service account key", shaped("[sk][-svcacct-]V74[T3BlbkFJ]V74"), OPEN),
        ("OpenAI admin key", shaped("[sk][-admin-]V74[T3BlbkFJ]V74"), OPEN),
        ("Anthropic key", shaped("[sk][-ant-api03-]V93[AA]"), OPEN),
        ("Anthropic OAuth token", shaped("[sk][-ant-oat01-]V93[AA]"), OPEN),
        ("JWT HS256", jwt("HS256", 43), OPEN),
        ("JWT RS256", jwt("RS256", 342), OPEN),
        ("JWT ES256", jwt("ES256", 86), OPEN),
        ("Hugging Face token", token(["h", "f_"], 34, ALNUM), OPEN),
        ("SendGrid key", shaped("[S][G.]V22[.]V43"), OPEN),
        ("Twilio key", token(["S", "K"], 32, HEX), OPEN),
        ("DigitalOcean token", token(["dop", "_v1_"], 64, HEX), OPEN),
        ("Docker Hub token", token(["dckr", "_pat_"], 27, URL64), OPEN),
        ("crates.io token", token(["ci", "o"], 32, ALNUM), OPEN),
        ("Telegram bot token", shaped("D10[:A][A]V33"), OPEN),
        ("Discord webhook", shaped("[https://discord.com/api/web][hooks/]D18[/]V68"), OPEN),
        ("Discord bot token", shaped("[M]A25[.]V6[.]V38"), p::DISCORD),
        ("Vault token", token(["hv", "s."], 90, URL64), OPEN),
        ("Terraform Cloud token", shaped("A14[.atlas][v1.]A67"), OPEN),
        ("Databricks token", token(["da", "pi"], 32, HEX), OPEN),
        ("Shopify token", token(["shp", "at_"], 32, HEX), OPEN),
        ("Heroku token", shaped("[HRKU-][AA]V58"), OPEN),
        ("Fly token", shaped("[fm2][_]B200"), OPEN),
        ("Sentry token", shaped("[sntr][yu_]H64"), OPEN),
        ("New Relic key", shaped("[NR][AK-]U27"), OPEN),
        ("Postman key", shaped("[PM][AK-]H24[-]H34"), OPEN),
        ("Notion token", token(["nt", "n_"], 46, ALNUM), OPEN),
        ("Figma token", token(["fi", "gd_"], 40, URL64), OPEN),
        ("Linear key", token(["lin_", "api_"], 40, ALNUM), OPEN),
        ("Doppler token", token(["dp.", "pt."], 43, ALNUM), OPEN),
        ("Pulumi token", token(["pu", "l-"], 40, HEX), OPEN),
        ("PlanetScale token", token(["pscale", "_tkn_"], 43, URL64), OPEN),
        ("Supabase secret key", shaped("[sb_][secret_]V31"), OPEN),
        ("Perplexity key", token(["ppl", "x-"], 48, ALNUM), OPEN),
        ("Replicate token", token(["r8", "_"], 37, ALNUM), OPEN),
        ("LangSmith key", shaped("[lsv2][_pt_]H32[_]H10"), OPEN),
        ("Square token", shaped("[EA][AAl]V60"), p::SQUARE),
        ("Mailgun key", token(["ke", "y-"], 32, HEX), p::MAILGUN),
        ("RubyGems key", token(["ruby", "gems_"], 48, HEX), OPEN),
        ("Atlassian token", shaped("[ATA][TT3xFfGF0]V170[=]H8"), OPEN),
        ("Grafana token", shaped("[gl][sa_]A32[_]H8"), OPEN),
        ("Tailscale key", shaped("[tskey-][auth-]A12[-]A30"), OPEN),
        ("password in a URL", value(20, ALNUM), p::URLS),
        ("password in a URL, chosen", chosen(), p::URLS),
        ("token in a URL", value(40, HEX), p::URL_TOKENS),
        ("bearer header", value(40, URL64), p::BEARER),
        ("basic header", value(32, BASE64), p::BASIC),
        ("key header", value(32, HEX), p::KEY_HEADERS),
        ("cookie", value(40, URL64), p::COOKIES),
        ("docker registry auth", value(36, BASE64), p::DOCKER),
        ("password on a command line", managed(), p::COMMANDS),
        ("password on a command line, chosen", chosen(), p::COMMANDS),
        ("environment file", value(40, ALNUM), p::ENVIRONMENT),
        ("environment file, chosen", chosen(), p::ENVIRONMENT),
        ("named value, letters and digits", value(24, ALNUM), NAMED),
        ("named value, hex", value(40, HEX), NAMED),
        ("named value, base64", value(44, BASE64), NAMED),
        ("named value, UUID", uuid(), NAMED),
        ("named value, from a manager", managed(), NAMED),
        ("named password, chosen", chosen(), p::PASSWORDS),
    ]
}
