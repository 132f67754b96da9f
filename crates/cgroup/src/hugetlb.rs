//! Huge pages: `hugetlb`.

use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::HugepageLimit;

pub(crate) fn apply(group: &Cgroup, limits: &[HugepageLimit]) -> Result<()> {
    for HugepageLimit { page_size, limit } in limits {
        if !page_size.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::InvalidSetting {
                setting: format!("huge page size {page_size:?}"),
                reason: "expected digits and a unit",
            });
        }
        if let Some(dir) = group.v1_dir(Controller::Hugetlb) {
            let file = format!("hugetlb.{page_size}.limit_in_bytes");
            dir.write_number(&file, limit)?;
        } else if let Some(dir) = group.v2_dir(Controller::Hugetlb) {
            let value = match limit {
                ..0 => "max".to_owned(),
                bytes => bytes.to_string(),
            };
            dir.write(&format!("hugetlb.{page_size}.max"), &value)?;
        } else {
            return Err(Error::MissingController {
                controller: "hugetlb",
                limit: "huge pages",
            });
        }
    }
    Ok(())
}
