"""How ``mini``, the small bilingual encoder of this project, was pretrained; `make pretrain` does it again."""
