//! Row tests against plain readings, over every layout of text.

use datafusion::arrow::array::StringArray;
use datafusion::arrow::compute::cast;
use proptest::prelude::*;

use super::*;

/// Short and long texts whose beginnings are alike.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,14}",
        "[ab]{12}",
        Just("é".to_owned()),
        Just("a\0".to_owned())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sets_and_lengths_find_what_a_plain_reading_finds(
        values in proptest::collection::vec(proptest::option::weighted(0.9, text()), 0..20),
        members in proptest::collection::vec(text(), 1..20),
        least in 0usize..4,
        more in 0usize..8,
        start in 0usize..4,
    ) {
        let set = TextSet::new(members.iter().map(String::as_str));
        let length = TextLength { least, most: least + more };
        let start = start.min(values.len());
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let in_set: Vec<Option<bool>> = values[start..]
            .iter()
            .map(|value| value.as_ref().map(|text| members.contains(text)))
            .collect();
        let has_length: Vec<Option<bool>> = values[start..]
            .iter()
            .map(|value| value.as_ref().map(|text| (least..=least + more).contains(&text.chars().count())))
            .collect();
        for layout in [
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ] {
            let values = cast(&array, &layout).unwrap().slice(start, array.len() - start);
            let found = test_values(&set, &values).unwrap();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), in_set.clone(), "{}", layout);
            let found = test_values(&length, &values).unwrap();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), has_length.clone(), "{}", layout);
        }
    }
}
