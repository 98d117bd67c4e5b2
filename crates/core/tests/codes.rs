//! Every code has a page, every page a code.

use std::collections::BTreeSet;
use std::path::Path;

use countersign::Code;

#[test]
fn every_code_has_a_page_with_its_status_and_detail_and_there_is_no_other_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/codes");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut expected = BTreeSet::from(["README.md".to_owned()]);
    for code in Code::ALL {
        let name = format!("{code}.md");
        let page =
            std::fs::read_to_string(folder.join(&name)).unwrap_or_else(|_| panic!("{name} is missing"));
        let opening = format!("# `{code}`\n\nStatus {}. {}\n", code.status().as_u16(), code.detail());
        assert!(page.starts_with(&opening), "{name} begins otherwise than the code says");
        assert!(page.contains("**When.**") && page.contains("**What the operator can do.**"), "{name}");
        assert!(index.contains(&format!("]({name})")), "{name} is not in the index");
        expected.insert(name);
    }
    let pages =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(pages.collect::<BTreeSet<_>>(), expected);
}
