//! Rules that are attached, replaced, damaged and repaired.

use super::*;

#[tokio::test]
async fn restore_keeps_the_rules_attached() {
    let fixture = Fixture::new().await;
    fixture
        .write(&[(1, "one")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    fixture
        .write(&[(2, "two")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    fixture
        .catalog
        .restore(&name(), At::Version(0))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .catalog
            .attached_rules(&name())
            .await
            .unwrap()
            .unwrap()
            .text
            .as_ref(),
        "v1"
    );
    let refused = fixture
        .write(&[(3, "bad")], WriteMode::Append, WriteContext::default())
        .await;
    assert!(matches!(refused, Err(CatalogError::Refused(_))));
}

#[tokio::test]
async fn rules_apply_only_to_a_version_that_passes_them_and_once() {
    let fixture = Fixture::new().await;
    fixture
        .write(&[(1, "bad")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    assert!(matches!(
        fixture.catalog.apply_rules(&name(), rules("v1")).await,
        Err(CatalogError::Refused(_))
    ));
    assert!(
        fixture
            .catalog
            .attached_rules(&name())
            .await
            .unwrap()
            .is_none()
    );
    fixture
        .write(
            &[(1, "good")],
            WriteMode::Overwrite,
            WriteContext::default(),
        )
        .await
        .unwrap();
    let applied = fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    assert_eq!(
        (applied.version, applied.outcome),
        (2, WriteOutcome::Committed)
    );
    let again = fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    assert_eq!(
        (again.version, again.outcome),
        (2, WriteOutcome::AlreadyDone)
    );
}

#[tokio::test]
async fn write_with_other_rules_cannot_get_past_those_attached() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let refused = fixture
        .write(&[(3, "bad")], WriteMode::Append, attach("lax"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("must pass both"), "{refused}");
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1");

    let written = fixture
        .write(&[(3, "good")], WriteMode::Append, attach("lax"))
        .await
        .unwrap();
    let stamp = written.verdict.unwrap();
    assert_eq!(stamp["rules_sha256"], rules("lax").sha256);
    assert_eq!(stamp["replaced_rules_sha256"], rules("v1").sha256);
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "lax");
    fixture
        .catalog
        .apply_rules(&name(), rules("v1"))
        .await
        .unwrap();
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1", "`apply` replaces");
}

#[tokio::test]
async fn rules_are_attached_past_those_before_by_apply_alone() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let judged_by = |from: usize| -> Vec<String> {
        let asked = fixture.judge.asked.lock().unwrap();
        let rules = asked.iter().skip(from).map(|c| c.rules.text.to_string());
        rules.collect()
    };
    let before = fixture.asked().len();
    fixture
        .catalog
        .attach_rules(&name(), rules("lax"))
        .await
        .unwrap();
    assert_eq!(judged_by(before), ["v1", "lax"]);
    let before = fixture.asked().len();
    fixture
        .catalog
        .apply_rules(&name(), rules("v2"))
        .await
        .unwrap();
    assert_eq!(judged_by(before), ["v2"]);
}

#[tokio::test]
async fn rules_under_a_hash_that_is_not_theirs_are_not_attached() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let forged = RulesText {
        sha256: rules("v1").sha256,
        ..rules("lax")
    };
    for table in [name(), "silver.others".parse().unwrap()] {
        let write = Write {
            table,
            mode: WriteMode::Append,
            source: plan(&[(3, "bad")]),
            options: WriteOptions::default(),
            context: WriteContext {
                attach: Some(forged.clone()),
                ..WriteContext::default()
            },
        };
        let refused = fixture.catalog.write(&fixture.session, write).await;
        assert!(matches!(refused, Err(CatalogError::Bug(_))), "{refused:?}");
    }
    let attached = fixture.catalog.attached_rules(&name()).await.unwrap();
    assert_eq!(attached.unwrap().text.as_ref(), "v1");
}

#[tokio::test]
async fn damaged_rules_let_nothing_pass() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    let file = fixture.folder.path().join(format!(
        "warehouse/silver/things/_lakegate/rules/{}.yaml",
        rules("v1").sha256
    ));
    std::fs::write(&file, "checks: []").unwrap();
    let error = fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not the ones that were attached"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    let error = fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert_eq!(fixture.version().await, 0);
}

#[tokio::test]
async fn damaged_rules_are_repaired_by_the_same_rules_and_do_not_stop_upkeep() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    fixture
        .write(&[(3, "three")], WriteMode::Append, WriteContext::default())
        .await
        .unwrap();
    let file = fixture.folder.path().join(format!(
        "warehouse/silver/things/_lakegate/rules/{}.yaml",
        rules("v1").sha256
    ));
    let damages: [fn(&std::path::Path); 2] = [
        |file| std::fs::write(file, "v0").unwrap(),
        |file| std::fs::remove_file(file).unwrap(),
    ];
    for damage in damages {
        damage(&file);
        fixture
            .catalog
            .optimize(&fixture.session, &name(), &[], None)
            .await
            .unwrap();
        let applied = fixture
            .catalog
            .apply_rules(&name(), rules("v1"))
            .await
            .unwrap();
        assert_eq!(applied.outcome, WriteOutcome::AlreadyDone);
        fixture
            .write(&[(4, "four")], WriteMode::Append, WriteContext::default())
            .await
            .unwrap();
        damage(&file);
        fixture
            .write(&[(5, "five")], WriteMode::Append, attach("v1"))
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "v1");
    }
}
