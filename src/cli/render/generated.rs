//! Man page, completions and schemas, made from the parser and the report types.

use clap::ValueEnum as _;
use clap_complete::{Generator as _, Shell};
use serde_json::Value;

use crate::cli;
use crate::commands::Report;
use crate::commands::generate::What;

/// The man page that `git receipt --help` shows: the program, then every command.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn man_page() -> std::io::Result<Vec<u8>> {
    let parser = cli::parser();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(parser.clone()).title("GIT-RECEIPT").section("1").manual("Git Manual");
    man.render(&mut page)?;
    for (name, command) in commands(&parser) {
        let named = command.bin_name(name.clone()).display_name(name.clone());
        let part = clap_mangen::Man::new(named);
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        part.render_synopsis_section(&mut page)?;
        part.render_description_section(&mut page)?;
        part.render_options_section(&mut page)?;
    }
    // Sections of a command are sub-sections here.
    let text = String::from_utf8_lossy(&page).into_owned();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside |= line.starts_with(".SH \"GIT RECEIPT ");
        let demoted = inside && line.starts_with(".SH ") && !line.starts_with(".SH \"GIT RECEIPT ");
        lines.push(if demoted { line.replacen(".SH ", ".SS ", 1) } else { line.to_owned() });
    }
    Ok((lines.join("\n") + "\n").into_bytes())
}

/// The files of one sort, by name.
///
/// # Errors
/// Never in practice: they are written to memory.
pub fn files(what: What) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    Ok(match what {
        What::Man => vec![("git-receipt.1".into(), man_page()?)],
        What::Completions => Shell::value_variants().iter().map(|shell| completions(*shell)).collect(),
        What::Schemas => schemas()?,
        What::Reference => vec![("commands.md".into(), reference().into_bytes())],
    })
}

fn completions(shell: Shell) -> (String, Vec<u8>) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::parser(), "git-receipt", &mut script);
    (shell.file_name("git-receipt"), script)
}

/// A JSON Schema of every document that `--json` prints.
///
/// # Errors
/// Never in practice: every report type has a schema.
pub fn schemas() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    use crate::commands as c;
    let mut files = vec![
        schema::<c::apply::Applied>()?,
        schema::<c::audit::Audited>()?,
        schema::<c::bind::Bound>()?,
        schema::<c::blame::Blamed>()?,
        schema::<c::close::Closed>()?,
        schema::<c::decide::Accepted>()?,
        schema::<c::decide::Rejected>()?,
        schema::<c::demo::Demonstrated>()?,
        schema::<c::diff::Diffed>()?,
        schema::<c::fork::Forked>()?,
        schema::<c::generate::Generated>()?,
        schema::<c::hooks::Hooked>()?,
        schema::<c::import::Imported>()?,
        schema::<c::init::SetUp>()?,
        schema::<c::init::TakenDown>()?,
        schema::<c::key::Keys>()?,
        schema::<c::list::Listed>()?,
        schema::<c::log::Logged>()?,
        schema::<c::log::Traced>()?,
        schema::<c::open::Opened>()?,
        schema::<c::policy::PolicyReport>()?,
        schema::<c::preview::Previewed>()?,
        schema::<c::propose::Made>()?,
        schema::<c::propose::Revised>()?,
        schema::<c::record::Recorded>()?,
        schema::<c::remark::Remarked>()?,
        schema::<c::replay::Replayed>()?,
        schema::<c::review::Reviewed>()?,
        schema::<c::rollback::RolledBack>()?,
        schema::<c::run::Ran>()?,
        schema::<c::share::Pushed>()?,
        schema::<c::share::Fetched>()?,
        schema::<c::show::Shown>()?,
        schema::<c::snapshot::Snapshot>()?,
        schema::<c::status::Status>()?,
        schema::<c::verify::Verified>()?,
        schema::<c::why::Explained>()?,
    ];
    let error = serde_json::to_value(schemars::schema_for!(cli::error::ErrorReport))?;
    files.push(schema_file("error", error)?);
    Ok(files)
}

fn schema<R: Report>() -> anyhow::Result<(String, Vec<u8>)> {
    schema_file(R::NAME, serde_json::to_value(schemars::schema_for!(R))?)
}

/// Adds the `schema` member that every document has.
fn schema_file(name: &str, mut schema: Value) -> anyhow::Result<(String, Vec<u8>)> {
    schema["title"] = format!("git-receipt/{name}/1").into();
    schema["properties"]["schema"] = serde_json::json!({ "const": format!("git-receipt/{name}/1") });
    match schema["required"].as_array_mut() {
        Some(required) if required.iter().any(|name| name == "schema") => {}
        Some(required) => required.insert(0, "schema".into()),
        None => schema["required"] = serde_json::json!(["schema"]),
    }
    let mut bytes = serde_json::to_vec_pretty(&schema)?;
    bytes.push(b'\n');
    Ok((format!("schemas/{name}.json"), bytes))
}

/// The reference of all commands as Markdown, from their help.
fn reference() -> String {
    let mut parser = cli::parser().term_width(100);
    let mut text = String::from(
        "# Commands\n\nMade from the program's own help by `git receipt generate reference docs`.\n\n",
    );
    text.push_str(&format!("```text\n{}\n```\n", plain(&parser.render_long_help().to_string())));
    for (name, command) in commands(&parser) {
        let help = plain(&command.bin_name(name.clone()).term_width(100).render_long_help().to_string());
        text.push_str(&format!("\n## `{name}`\n\n```text\n{help}\n```\n"));
    }
    text
}

/// Every command that is shown, by its full name, each followed by the commands under it.
fn commands(parser: &clap::Command) -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    let shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for command in parser.get_subcommands().filter(shown) {
        let name = format!("git receipt {}", command.get_name());
        found.push((name.clone(), command.clone()));
        for below in command.get_subcommands().filter(shown) {
            found.push((format!("{name} {}", below.get_name()), below.clone()));
        }
    }
    found
}

fn plain(help: &str) -> String {
    help.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
