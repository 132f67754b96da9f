//! `COPY` and `ADD`: files of the context, of other stages, of the Dockerfile itself.

use gantry_dockerfile::{Command, InlineFile, Instruction, Span, Word, expand_content};

use super::current::Current;
use super::stage::Planner;
use super::{Dialect, config, history, placed};
use crate::graph::{Action, Copying, Mode, Node, NodeId, Op};
use crate::{Error, Result};

/// The name of a file that was fetched, in its directory.
pub const FETCHED: &str = "file";

/// What both instructions have, in one form.
struct Wish<'w> {
    verb: &'static str,
    sources: &'w [Word],
    inline: &'w [InlineFile],
    destination: &'w Word,
    from: Option<&'w Word>,
    chown: Option<&'w Word>,
    chmod: Option<&'w Word>,
    link: bool,
    parents: bool,
    exclude: &'w [String],
    /// Whether archives are unpacked.
    unpack: bool,
    /// Whether those from the network are.
    unpack_urls: bool,
    checksum: Option<&'w Word>,
    keep_git_dir: Option<bool>,
}

impl Planner<'_> {
    pub(super) fn copy(
        &mut self,
        now: &mut Current,
        what: &Instruction,
        shown: String,
    ) -> Result<()> {
        let wish = wish(&what.command)?;
        let span = what.span;
        let escape = self.file.escape();
        let expand_all = |words: &[Word]| -> Result<Vec<String>> {
            let expanded = words
                .iter()
                .map(|word| now.scope.expand(word, escape, span));
            expanded.collect()
        };
        let all = expand_all(wish.sources)?;
        let (urls, sources): (Vec<_>, Vec<_>) = all
            .iter()
            .cloned()
            .partition(|source| wish.verb == "ADD" && is_url(source));
        let checksum = self.checksum(now, &wish, urls.len() + sources.len(), span)?;
        if checksum.is_some() && urls.is_empty() {
            let text = "checksum requires HTTP(S) or Git sources";
            return Err(Error::Invalid(text.to_owned()));
        }
        let shown = gantry_git::redacted(&shown);
        let written = now.scope.expand(wish.destination, escape, span)?;
        let many = sources.len() + urls.len() + wish.inline.len() > 1;
        let classic = self.options.dialect == Dialect::Classic;
        if classic && many && !written.ends_with('/') && !is_dot(&written) {
            return Err(Error::Invalid(format!(
                "When using {} with more than one source file, the destination must be a \
                 directory and end with a /",
                wish.verb
            )));
        }
        let target = target(&now.config.working_dir, &written);
        let owner = wish
            .chown
            .map(|word| now.scope.expand(word, escape, span))
            .transpose()?;
        let chmod = wish
            .chmod
            .map(|word| now.scope.expand(word, escape, span))
            .transpose()?;
        let mode = chmod.as_deref().map(mode).transpose()?;
        let from = match wish.from {
            Some(word) if classic => Some(word.as_str().to_owned()),
            Some(word) => Some(stage_name(word, escape, span)?),
            None => None,
        };
        let mut actions = Vec::new();
        if !sources.is_empty() {
            let step = match &from {
                Some(name) => self.from(name, now, None, span)?,
                None => self.context()?,
            };
            actions.push(Action::Copy(Copying {
                from: step,
                sources: self.checked(&wish, &sources, from.is_some())?,
                target: target.clone(),
                owner: self.owner(owner.clone(), from.is_some()),
                mode: mode.clone(),
                unpack: wish.unpack && from.is_none(),
                parents: wish.parents,
                exclude: wish.exclude.to_vec(),
                classic,
                verb: wish.verb,
            }));
        }
        for url in &urls {
            if let Some(source) = self.repository(url, &wish, checksum.as_deref())? {
                let local = self.world.check_out(&source)?;
                actions.push(Action::Copy(Copying {
                    from: self.fetched(local, &source.to_string()),
                    sources: vec!["/".to_owned()],
                    target: target.clone(),
                    owner: Some(owner.clone().unwrap_or_default()),
                    mode: mode.clone(),
                    unpack: false,
                    parents: false,
                    exclude: wish.exclude.to_vec(),
                    classic: false,
                    verb: wish.verb,
                }));
                continue;
            }
            check_digest(checksum.as_deref())?;
            let name = url_name(url, &target)?;
            let local = self.world.fetch(url, checksum.as_deref())?;
            actions.push(Action::Copy(Copying {
                from: self.fetched(local, url),
                sources: vec![FETCHED.to_owned()],
                target: match target.ends_with('/') {
                    true => format!("{target}{name}"),
                    false => target.clone(),
                },
                owner: Some(owner.clone().unwrap_or_default()),
                mode: Some(mode.clone().unwrap_or(Mode::Octal(0o600))),
                unpack: wish.unpack_urls,
                parents: false,
                exclude: Vec::new(),
                classic,
                verb: wish.verb,
            }));
        }
        for file in wish.inline {
            actions.push(self.inline(now, file, &target, owner.as_deref(), mode.as_ref(), span)?);
        }
        let mut words: Vec<String> = Vec::new();
        words.extend(wish.parents.then(|| "--parents".to_owned()));
        words.extend(owner.map(|owner| format!("--chown={owner}")));
        words.extend(chmod.map(|mode| format!("--chmod={mode}")));
        words.extend(all.iter().map(|name| gantry_git::redacted(name)));
        let created_by = self.copy_history(now, &wish, words, &written, &actions)?;
        // As in BuildKit, where a mode is asked for it is an ordinary copy.
        let apart = wish.link && wish.chmod.is_none();
        let node = self.files(now, actions, apart, shown.clone());
        now.push(shown, Some(node), created_by, span);
        Ok(())
    }

    /// What the files of the network must have.
    fn checksum(
        &self,
        now: &Current,
        wish: &Wish<'_>,
        sources: usize,
        span: Span,
    ) -> Result<Option<String>> {
        let Some(word) = wish.checksum else {
            return Ok(None);
        };
        if sources > 1 {
            let text = "checksum can't be specified for multiple sources";
            return Err(Error::Invalid(text.to_owned()));
        }
        now.scope.expand(word, self.file.escape(), span).map(Some)
    }

    /// The repository that an address means; nothing for a file.
    fn repository(
        &self,
        url: &str,
        wish: &Wish<'_>,
        checksum: Option<&str>,
    ) -> Result<Option<gantry_git::Source>> {
        let Some(mut source) = gantry_git::Source::parse(url).map_err(Error::of_git)? else {
            return Ok(None);
        };
        if self.options.dialect == Dialect::Classic {
            let text = format!("ADD of a git repository ({source}) requires BuildKit");
            return Err(Error::Unsupported(text));
        }
        source.keep_git_dir = wish.keep_git_dir.or(source.keep_git_dir);
        if let Some(checksum) = checksum {
            source.require(checksum).map_err(Error::of_git)?;
        }
        Ok(Some(source))
    }

    fn files(&mut self, now: &Current, actions: Vec<Action>, apart: bool, label: String) -> NodeId {
        let place = self.place(now);
        self.graph.add(Node {
            op: Op::Files {
                root: now.node,
                actions,
                apart,
            },
            label,
            place,
            fresh: now.fresh,
        })
    }

    /// Whose the files become: root's, unless they keep the owners of another stage.
    fn owner(&self, given: Option<String>, from_stage: bool) -> Option<String> {
        given.or_else(|| (!from_stage).then(String::new))
    }

    /// The sources, which stay in the context.
    fn checked(&self, wish: &Wish<'_>, sources: &[String], from: bool) -> Result<Vec<String>> {
        let checked = sources.iter().map(|source| {
            if !from && is_url(source) {
                let prefix = match self.options.dialect {
                    Dialect::Classic => "COPY failed: ",
                    Dialect::BuildKit => "",
                };
                let what = match gantry_git::Source::parse(source) {
                    Ok(None) => "a URL",
                    _ => "a git ref",
                };
                let text = format!("{prefix}source can't be {what} for COPY");
                return Err(Error::Invalid(text));
            }
            if self.options.dialect == Dialect::Classic && leaves(source) {
                return Err(Error::Invalid(format!(
                    "{} failed: forbidden path outside the build context: {source} ()",
                    wish.verb
                )));
            }
            Ok(source.clone())
        });
        checked.collect()
    }

    fn inline(
        &self,
        now: &Current,
        file: &InlineFile,
        target: &str,
        owner: Option<&str>,
        mode: Option<&Mode>,
        span: Span,
    ) -> Result<Action> {
        let content = match file.expand {
            true => {
                expand_content(&file.content, &|name| now.scope.lookup(name))
                    .map_err(|error| placed(error, span))?
                    .text
            }
            false => file.content.clone(),
        };
        Ok(Action::Mkfile {
            path: target.to_owned(),
            name: file.name.clone(),
            bytes: content.into_bytes(),
            owner: owner.unwrap_or_default().to_owned(),
            mode: mode.map_or(0o644, |mode| crate::whose::changed(mode, 0o644, false)),
        })
    }

    fn copy_history(
        &self,
        now: &Current,
        wish: &Wish<'_>,
        words: Vec<String>,
        written: &str,
        actions: &[Action],
    ) -> Result<String> {
        let dialect = self.options.dialect;
        let inline = wish.inline.iter().map(|file| format!("<<{}", file.name));
        let sources: Vec<String> = match dialect {
            Dialect::BuildKit => words.into_iter().chain(inline).collect(),
            Dialect::Classic => {
                let owner = match actions.first() {
                    Some(Action::Copy(copying)) if wish.chown.is_some() => copying.owner.clone(),
                    _ => None,
                };
                let owner = owner.map(|owner| format!("--chown={owner}"));
                owner
                    .into_iter()
                    .chain([self.classic_source(actions)])
                    .collect()
            }
        };
        let shell = config::shell(&now.config);
        Ok(history::of_copy(
            dialect, &shell, wish.verb, &sources, written,
        ))
    }

    /// What the classic builder calls the files: a number of their contents, where that
    /// is known before anything is run.
    fn classic_source(&self, actions: &[Action]) -> String {
        let Some(Action::Copy(copying)) = actions.first() else {
            return "file:".to_owned();
        };
        let Op::Local(local) = &self.graph.nodes[copying.from].op else {
            return distant_name(copying);
        };
        crate::files::classic_name(local, copying)
    }
}

/// The same of files of another step, which are not there yet: a number of their names.
fn distant_name(copying: &Copying) -> String {
    let kind = match copying.sources.as_slice() {
        [one] if one.ends_with('/') => "dir",
        [_] => "file",
        _ => "multi",
    };
    let names = copying.sources.join("\0");
    format!(
        "{kind}:{}",
        gantry_types::Digest::of(names.as_bytes()).hex()
    )
}

fn wish(command: &Command) -> Result<Wish<'_>> {
    match command {
        Command::Copy(copy) => Ok(Wish {
            verb: "COPY",
            sources: &copy.sources,
            inline: &copy.inline,
            destination: &copy.destination,
            from: copy.from.as_ref(),
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            link: copy.link,
            parents: copy.parents,
            exclude: &copy.exclude,
            unpack: false,
            unpack_urls: false,
            checksum: None,
            keep_git_dir: None,
        }),
        Command::Add(add) => Ok(Wish {
            verb: "ADD",
            sources: &add.sources,
            inline: &add.inline,
            destination: &add.destination,
            from: None,
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            link: add.link,
            parents: false,
            exclude: &add.exclude,
            unpack: add.unpack.unwrap_or(true),
            unpack_urls: add.unpack.unwrap_or(false),
            checksum: add.checksum.as_ref(),
            keep_git_dir: add.keep_git_dir,
        }),
        other => {
            let text = format!("{} copies nothing", other.name());
            Err(Error::Invalid(text))
        }
    }
}

/// What `--from` says, in which BuildKit knows no variables.
fn stage_name(word: &Word, escape: char, span: Span) -> Result<String> {
    let name = gantry_dockerfile::expand(word, escape, &|_| None);
    let name = name.map_err(|error| placed(error, span))?;
    if name != word.as_str() {
        let text = "variable expansion is not supported for --from, define a new stage with FROM \
                    using ARG from global scope as a workaround";
        return Err(Error::Failed(text.to_owned()));
    }
    Ok(name)
}

/// The name that a file of the network gets in a directory.
fn url_name(url: &str, target: &str) -> Result<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    let name = path.split_once('/').map_or("", |(_, path)| path);
    let name = name.rsplit('/').next().unwrap_or_default();
    match name.is_empty() && target.ends_with('/') {
        true => Err(Error::Invalid(format!(
            "cannot determine filename from url: {url}"
        ))),
        false => Ok(name.to_owned()),
    }
}

/// What a file of the network must have is a digest.
fn check_digest(checksum: Option<&str>) -> Result<()> {
    match checksum.map(str::parse::<gantry_types::Digest>) {
        Some(Err(_)) => Err(Error::Invalid("invalid checksum digest length".to_owned())),
        _ => Ok(()),
    }
}

fn is_dot(path: &str) -> bool {
    matches!(path, "." | "./" | "..") || path.ends_with("/.")
}

fn is_url(source: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://", "git@"];
    schemes.iter().any(|scheme| source.starts_with(scheme))
}

/// Whether a path leads out of where it begins.
fn leaves(path: &str) -> bool {
    let mut depth = 0i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// The absolute path of a destination; with a slash at its end when it is a directory.
fn target(current: &str, written: &str) -> String {
    let path = config::directory(current, written);
    let directory = written.is_empty() || written.ends_with('/') || is_dot(written);
    match (directory, path.as_str()) {
        (_, "/") => path,
        (true, _) => format!("{path}/"),
        (false, _) => path,
    }
}

fn mode(text: &str) -> Result<Mode> {
    if let Ok(mode) = u32::from_str_radix(text, 8)
        && mode <= 0o7777
    {
        return Ok(Mode::Octal(mode));
    }
    match crate::whose::symbolic(text, 0o644, false) {
        Some(_) => Ok(Mode::Symbolic(text.to_owned())),
        None => Err(Error::Invalid(format!(
            "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        ))),
    }
}
