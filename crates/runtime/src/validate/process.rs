//! What a process may not ask.

use gantry_oci::{IoPriority, Process, Scheduler, SchedulerPolicy};

use super::refuse;
use crate::error::StartError;

/// Checks a process: the first of a container, or a further one.
pub(crate) fn check(process: &Process) -> Result<(), StartError> {
    if process.cwd.as_os_str().is_empty() {
        return Err(refuse("process.cwd", "Cwd property must not be empty"));
    }
    if !process.cwd.is_absolute() {
        return Err(refuse("process.cwd", "Cwd must be an absolute path"));
    }
    let mut seen = Vec::new();
    for limit in &process.rlimits {
        if seen.contains(&limit.kind) {
            let text = format!("{:?} is given twice", limit.kind);
            return Err(refuse("process.rlimits", text));
        }
        seen.push(limit.kind);
    }
    process.scheduler.iter().try_for_each(scheduler)?;
    process.io_priority.iter().try_for_each(io_priority)?;
    let lists = process.exec_cpu_affinity.iter();
    let mut lists = lists.flat_map(|wanted| wanted.initial.iter().chain(&wanted.last));
    match lists.find(|list| !crate::child::is_processor_list(list)) {
        Some(bad) => {
            let text = format!("{bad:?} is not a list of processors");
            Err(refuse("process.execCPUAffinity", text))
        }
        None => Ok(()),
    }
}

fn scheduler(wanted: &Scheduler) -> Result<(), StartError> {
    let refuse = |text: &str| Err(refuse("process.scheduler", text));
    let (policy, nice) = (wanted.policy, wanted.nice.unwrap_or(0));
    let ordinary = matches!(policy, SchedulerPolicy::Other | SchedulerPolicy::Batch);
    if ordinary && !(-20..=19).contains(&nice) {
        return refuse(&format!("invalid scheduler.nice: {nice}"));
    }
    let real_time = matches!(policy, SchedulerPolicy::Fifo | SchedulerPolicy::RoundRobin);
    if wanted.priority.unwrap_or(0) != 0 && !real_time {
        return refuse("scheduler.priority can only be specified for SchedFIFO or SchedRR policy");
    }
    let times = [wanted.runtime, wanted.deadline, wanted.period];
    let timed = times.iter().any(|time| time.unwrap_or(0) != 0);
    if timed && policy != SchedulerPolicy::Deadline {
        return refuse(
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        );
    }
    Ok(())
}

fn io_priority(wanted: &IoPriority) -> Result<(), StartError> {
    let priority = wanted.priority;
    if (0..=7).contains(&priority) {
        return Ok(());
    }
    let text = format!("invalid ioPriority.Priority: {priority}");
    Err(refuse("process.ioPriority", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let check = |rest: &str| {
            let text = format!(r#"{{"args":["x"]{rest}}}"#);
            let mut process: Process = serde_json::from_str(&text).unwrap();
            if !rest.contains("cwd") {
                process.cwd = "/".into();
            }
            check(&process).map_err(|error| error.path)
        };
        let limit = r#"{"type":"RLIMIT_CPU","hard":1,"soft":1}"#;
        for good in [
            String::new(),
            format!(r#","rlimits":[{limit}]"#),
            r#","scheduler":{"policy":"SCHED_FIFO","priority":9}"#.to_owned(),
            r#","scheduler":{"policy":"SCHED_DEADLINE","runtime":1,"period":2}"#.to_owned(),
            r#","ioPriority":{"class":"IOPRIO_CLASS_RT","priority":7}"#.to_owned(),
            r#","execCPUAffinity":{"initial":"0-1","final":""}"#.to_owned(),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for (bad, name) in [
            (r#","cwd":"x""#.to_owned(), "process.cwd"),
            (r#","cwd":"""#.to_owned(), "process.cwd"),
            (
                format!(r#","rlimits":[{limit},{limit}]"#),
                "process.rlimits",
            ),
            (
                r#","scheduler":{"policy":"SCHED_OTHER","nice":20}"#.to_owned(),
                "process.scheduler",
            ),
            (
                r#","scheduler":{"policy":"SCHED_OTHER","priority":1}"#.to_owned(),
                "process.scheduler",
            ),
            (
                r#","scheduler":{"policy":"SCHED_RR","deadline":1}"#.to_owned(),
                "process.scheduler",
            ),
            (
                r#","ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}"#.to_owned(),
                "process.ioPriority",
            ),
            (
                r#","execCPUAffinity":{"final":"a"}"#.to_owned(),
                "process.execCPUAffinity",
            ),
        ] {
            assert_eq!(check(&bad), Err(name.to_owned()), "{bad}");
        }
    }
}
