"""What the verbs do with their options: read them, call the room, print the answer; a function a verb."""

from assay.front.compressing import (
    compress_distill,
    compress_prune,
    compress_quantize,
)
from assay.front.corpus import (
    corpus_augment,
    corpus_classifier,
    corpus_clean,
    corpus_damage,
    corpus_decontaminate,
    corpus_dedup,
    corpus_privacy,
    corpus_profile,
    corpus_scan,
    corpus_select,
)
from assay.front.explore import explore
from assay.front.export import export
from assay.front.fits import (
    calibration,
    law_fit,
    mixture_fit,
)
from assay.front.generate import (
    chat,
    generate,
)
from assay.front.runs import (
    align,
    average,
    convert,
    doctor_env,
    study,
    train,
)
from assay.front.serve import serve
from assay.front.tasks import (
    answer_errors,
    compare_answers,
    doctor_data,
    evaluate,
    finetune,
    labels,
    predict,
    score_answers,
)
from assay.front.tokenizer import (
    tokenizer_compare,
    tokenizer_encode,
    tokenizer_train,
)

__all__ = [
    "align",
    "answer_errors",
    "average",
    "calibration",
    "chat",
    "compare_answers",
    "compress_distill",
    "compress_prune",
    "compress_quantize",
    "convert",
    "corpus_augment",
    "corpus_classifier",
    "corpus_clean",
    "corpus_damage",
    "corpus_decontaminate",
    "corpus_dedup",
    "corpus_privacy",
    "corpus_profile",
    "corpus_scan",
    "corpus_select",
    "doctor_data",
    "doctor_env",
    "evaluate",
    "explore",
    "export",
    "finetune",
    "generate",
    "labels",
    "law_fit",
    "mixture_fit",
    "predict",
    "score_answers",
    "serve",
    "study",
    "tokenizer_compare",
    "tokenizer_encode",
    "tokenizer_train",
    "train",
]
