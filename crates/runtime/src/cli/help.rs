//! What `--help` shows, in the form that runc's users know.

use super::args::Option as Flag;
use super::commands::{COMMANDS, Command};
use super::{GLOBAL, NAME};

/// Of the whole program.
pub(super) fn of_program() -> String {
    let mut text = format!(
        "NAME:\n   {NAME} - a runtime of the Open Container Initiative\n\nUSAGE:\n   \
         {NAME} [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
    );
    for command in &COMMANDS {
        text.push_str(&format!("   {:<10}  {}\n", command.name, command.about));
    }
    text.push_str("   help, h     show the commands, or one's options\n\nGLOBAL OPTIONS:\n");
    text.push_str(&options(GLOBAL));
    text
}

/// Of a command.
pub(super) fn of_command(command: &Command) -> String {
    let Command {
        name, about, words, ..
    } = command;
    let mut text = format!("NAME:\n   {NAME} {name} - {about}\n\nUSAGE:\n   {NAME} {name}");
    if !command.flags.is_empty() {
        text.push_str(" [command options]");
    }
    text.push_str(&format!(" {words}\n"));
    if !command.flags.is_empty() {
        text.push_str("\nOPTIONS:\n");
        text.push_str(&options(command.flags));
    }
    text
}

fn options(flags: &[Flag]) -> String {
    let shown = flags.iter().filter(|flag| !flag.about.is_empty());
    let name = |flag: &Flag| {
        let value = if flag.takes_value { " value" } else { "" };
        let short = flag
            .short
            .map_or_else(String::new, |short| format!(", -{short}{value}"));
        format!("--{}{value}{short}", flag.name)
    };
    let rows: Vec<_> = shown.map(|flag| (name(flag), flag.about)).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, about)| format!("   {name:width$}  {about}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_shown() {
        let all = of_program();
        for command in &COMMANDS {
            assert!(all.contains(&format!("   {} ", command.name)));
            let own = of_command(command);
            assert!(own.starts_with(&format!("NAME:\n   {NAME} {} - ", command.name)));
        }
        let create = COMMANDS.iter().find(|c| c.name == "create").unwrap();
        assert!(of_command(create).contains("   --bundle value, -b value  "));
    }
}
