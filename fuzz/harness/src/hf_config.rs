//! Any bytes as the `config.json` of Hugging Face: values and class names of bounded size, or an error.

use pipe_weights::HfConfig;

pub(crate) fn run(data: &[u8]) {
    let Ok(config) = HfConfig::parse(data) else { return };
    let labels = config.labels.unwrap_or_default();
    // Each class has at least a digit and four quotes. Without an escape, a name is no longer than the file has bytes for it.
    assert!(labels.len() * 5 <= data.len(), "{} classes in {} bytes", labels.len(), data.len());
    assert!(labels.iter().map(String::len).sum::<usize>() <= data.len(), "names are longer than the file");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"hidden_size": 768, "layer_norm_eps": 1e-12, "id2label": {"0": "abseiling", "1": "air \u00e9", "2": "a"}}"#,
        r#"{"model_type": "vjepa2", "tubelet_size": 2, "image_size": [16, 224], "id2label": null}"#,
        r#"{"id2label": {"10": "k", "0": "a"}, "label2id": {"a": 0}}"#,
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}
