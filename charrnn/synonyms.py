"""What other programs call the things that charrnn has an option, an argument or a command for."""

from __future__ import annotations

#: Our name, and the names by which users of other programs look for it; where two of ours are given, the first that there is.
_THEIRS = {
    "learning_rate": "lr eta alpha step_size learn_rate base_lr lrate",
    "hidden_size": "rnn_size hidden hidden_units hidden_dim hidden_layer_size n_hidden num_hidden nhid units num_units n_units state_size "
    "rnn_units lstm_size embed_dim d_model m",
    "layers": "num_layers n_layers nlayers n_layer layer_count depth hidden_layers num_hidden_layers",
    "cell": "rnn cell_type rnn_type model_type unit_type architecture",
    "epochs": "num_epochs n_epochs max_epochs nb_epoch nb_epochs epoch passes",
    "updates": "iterations num_iterations max_iterations iters max_iters n_iter num_iters max_iter steps max_steps num_steps train_steps "
    "total_steps n_steps",
    "seq_length": "seq_len sequence_length sequence_len block_size context context_size context_length bptt bptt_len window "
    "window_size unroll maxlen tau",
    "batch_size": "batch bs batchsize minibatch mini_batch_size minibatch_size lanes streams",
    "optimizer": "optim optimiser solver update_rule",
    "schedule": "lr_schedule scheduler lr_scheduler decay lr_decay learning_rate_decay decay_rate lr_policy",
    "warmup": "warmup_steps warmup_iters warmup_updates lr_warmup",
    "clip": "grad_clip clip_grad gradient_clip gradient_clipping clip_gradient clip_value clipvalue grad_clip_val",
    "clip_norm": "max_norm max_grad_norm clipnorm grad_norm clip_grad_norm",
    "init": "initializer weight_init initialization initialisation",
    "init_std": "init_scale sigma std weight_std init_sigma sig",
    "dtype": "precision float_type floatx",
    "seed": "random_state random_seed rng rng_seed manual_seed",
    "beta1": "momentum beta_1 adam_beta1 betas",
    "beta2": "beta_2 adam_beta2 rho decay_rate_squares",
    "eps": "epsilon adam_eps",
    "loss_reduction": "reduction",
    "threads": "num_threads n_threads n_jobs workers num_workers cores cpus nthreads",
    "validation": "val val_data valid validation_data validation_split val_split val_frac eval_data dev held_out valid_data test_data",
    "validate_every": "eval_every eval_interval eval_val_every val_every validation_interval evaluate_every",
    "checkpoint_every": "save_every save_interval checkpoint_interval checkpoint_freq snapshot_every save_steps",
    "log_every": "print_every log_interval print_interval print_freq log_freq logging_steps",
    "sample_every": "sample_interval generate_every",
    "out": "output output_dir out_dir save_dir outdir save log_dir model_dir checkpoint_dir output_file o",
    "resume": "continue restart resume_from restore",
    "from": "init_from load pretrained start_from finetune fine_tune warm_start initial_model",
    "quiet": "silent q no_progress",
    "force": "overwrite f yes",
    "patience": "early_stopping early_stop",
    "text": "data data_dir data_file dataset input input_file input_txt corpus file train_data train_file train_text",
    "temperature": "temp sampling_temperature",
    "prime": "primetext prime_text prompt start start_text seed_text initial prefix start_string context_text",
    "length": "max_new_tokens max_tokens n_predict num_chars n_chars num_characters sample_length max_length gen_length num_generate size",
    "max_new": "length max_new_tokens max_tokens max_length n_predict num_chars n_chars size",
    "prompt": "prime prime_text start start_text seed_text prefix",
    "n": "num_samples n_samples count samples num_return_sequences",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "min_p": "minp",
    "typical_p": "typical",
    "pattern": "regex grammar",
    "stop": "stop_token eos end stop_text stop_string stopping",
    "top_k": "topk k",
    "top_p": "topp nucleus nucleus_p",
    "vocabulary": "vocab alphabet charset characters",
    "level": "kernels isa simd backend",
    "progress": "verbose show_progress progress_bar bar",
    "callbacks": "callback hooks on_update",
    "checkpoint": "checkpoints ckpt ckpt_path",
    "train": "fit learn training",
    "generate": "sample write gen text_generation synth synthesise",
    "evaluate": "test eval score perplexity validate ppl",
    "gradcheck": "check grad_check check_gradients gradient_check",
    "explain": "visualize visualise interpret inspect_text",
    "bench": "benchmark speed profile",
    "info": "show describe inspect version summary",
    "recipes": "list presets configs recipe config",
}

OURS: dict[str, list[str]] = {}
for _ours, _names in _THEIRS.items():
    for _name in _names.split():
        OURS.setdefault(_name, []).append(_ours)
