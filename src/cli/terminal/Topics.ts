/** The topics of the help: what one has to know beyond the flags of a verb. */

import * as EmojiPackages from "../../layers/images/sources/EmojiPackages.ts"

const images = `Images: what --images takes. docs/images.md and docs/labels.md tell all.

emoji
  The pictures of the demo, from npm packages. The default. A clone of patchword has them; else
  they are installed beside it, in 80 MB:
    npm install ${EmojiPackages.packages.slice(0, 3).join(" ")} \\
      ${EmojiPackages.packages.slice(3).join(" ")}

scenes
  Made-up scenes of these emoji on textured grounds, with the classes of their pixels, for segment.

A folder of images (jpg, png, webp, gif, avif, tif, svg)
  With splits and classes:           With classes alone, all of split train:
    photos/train/cat/1.jpg             photos/cat/1.jpg
    photos/train/dog/2.jpg             photos/dog/2.jpg
    photos/val/cat/3.jpg
  Images without sub-folders are all of one class, ".". They are enough for tokenizer train and pretrain.
  --splits train,val   names the sub-folders that are splits; --splits none: all are classes
  --holdout 0.2        holds a fifth of each class of train out as val; the same in every verb
  patchword tokenizer train --images photos --out runs/one

A manifest (.yaml, .json): places and names
  root: /data/imagenet            # paths are relative to it; default the manifest's folder
  synsets: synsets.txt            # lines such as "n01440764 tench"; or classes: [cat, dog]
  splits:
    train: {folder: train}        # a sub-folder per class
    val: {folder: val, list: val.txt}   # lines such as "ILSVRC2012_val_00000001.JPEG 65"
  A split also takes subset: imagenet-a or imagenet-r, and annotations: a folder of PNGs with the
  classes of pixels. pixelClasses: names.txt names these; reduceZeroLabel: true if 0 stands for none.
  patchword probe runs/base/pretrain --images imagenet.yaml --tests val

Parquet files, as the Hugging Face Hub has them
  Column image: bytes of an encoded image, or {bytes: ...}.
  Column label: integers, or texts. --label-column species reads another one, none reads no labels.
  patchword pretrain --tokenizer runs/one --images 'train=t-{00..09}.parquet,val=v.parquet' --out runs/one

WebDataset shards (.tar, .tar.gz)
  Files of one name are a sample: a/7.jpg with a/7.cls, or with a/7.json and its field label.
  patchword tokenizer train --images 'train=shard-{000..099}.tar,val=val.tar' --out runs/one

CIFAR-10 and CIFAR-100, the binary version
  The folder with data_batch_1.bin, ..., test_batch.bin and batches.meta.txt, or with train.bin, test.bin
  and fine_label_names.txt. The splits are train and test.
  patchword knn runs/one/pretrain --images cifar-10-batches-bin --tests test

One image
  patchword predict runs/one/finetune --images photo.jpg`

const teachers = `Teachers: what --teacher takes. docs/teachers.md tells all.

  hog               oriented gradients of the images themselves; the default, nothing is downloaded
  clip:FILE         the image tower of CLIP, of OpenAI or OpenCLIP
  dino:FILE         DINO or DINOv2
  onnx:FILE#OUTPUT  any model with an output [images, tokens, width]
  run:RUN           an earlier tokenizer or backbone of patchword
  cache:FOLDER      the features that tokenizer cache has kept

The tokenizer needs the same number of patches as its teacher: base has patches of 16, huge14 of 14 pixels.

  patchword tokenizer train --preset base --images photos --teacher clip:clip.safetensors --out runs/one
  patchword tokenizer train --preset huge14 --images photos --teacher dino:dinov2.safetensors --out runs/two
  patchword tokenizer train --preset base --images photos --out runs/three \\
    --teacher onnx:vit.onnx#tokens --teacher-skip 1
  patchword tokenizer cache cache/clip --preset base --images photos --teacher clip:clip.safetensors`

const configuration = `Configuration: a preset, a file over it, single values over both.

  patchword presets                        lists sizes, data, time, memory and expected accuracy
  patchword config --preset base           prints every key with its value and what it means
  patchword config --preset base > my.yaml writes a file for --config
  --config my.yaml                         the values of a file; keys that it lacks are the preset's
  --set pretrain.optimizer.lr=0.001        one value; may be given several times

The length of a training may be said in the usual words:
  --set tokenizer.optimizer.epochs=10 --set tokenizer.optimizer.warmupEpochs=1
  --set pretrain.optimizer.steps=5000 --set pretrain.optimizer.warmupSteps=500
Where epochs take the place of steps and no warm-up is given, the warm-up keeps its share of the whole.

A run keeps its configuration in config.json. tokenizer train, pretrain and finetune begin with it where
they go on with a run; probe and knn take their settings from there.`

const exitCodes = `Exit codes, and the failures behind them. With --json, a failure is one JSON object on standard error
with tag, message, file, remedy and exitCode.

  1              patchword doctor found something ill
  64             the command line or a configuration is wrong
  65             an input is damaged, or is not what it should be
  66             an input is missing
  69             what should compute cannot be used here
  70             a step failed
  73             the run folder is of another configuration, holds something else, or is in use
  74             a file or the output cannot be written
  129, 130, 143  a signal ended it (SIGHUP, SIGINT, SIGTERM), and the steps taken were saved
  141            the program that read the output has ended`

const runFolders = `Run folders: what a training leaves, and what patchword runs tells of it. docs/runs.md tells all.

  patchword runs list                        all runs in the folder runs; --tag paper: those with a tag
  patchword runs show runs/demo              stages, speed, figures, notes
  patchword runs diff runs/one runs/two      settings, machines, figures with intervals
  patchword runs best probe/pretrain/in-new  a ranking by a figure; best pretrain/loss_1: by the log
  patchword runs tag runs/one paper          tags, and notes: patchword runs note runs/one "a text"

All of them only read the folder. So they work while another process or another machine trains
the run. Where a verb takes a run, it takes s3://BUCKET/PREFIX, too: docs/storage.md tells how.

  running   a process has the folder locked
  stopped   no process uses it, and a stage is not finished; the same command goes on with it
  failed    a step failed; its batch is kept in stages/replay
  finished  all stages that began are finished

A figure is named VERB/NETWORK/SPLIT. A difference of two accuracies is within the noise where its
95 % interval holds 0.`

const topics: Readonly<Record<string, string>> = {
  images,
  teachers,
  configuration,
  "run-folders": runFolders,
  "exit-codes": exitCodes
}

/** The names of the topics. */
export const names: ReadonlyArray<string> = Object.keys(topics)

/** The text of a topic; nothing where there is no such topic. */
export const text = (name: string): string | undefined => Object.hasOwn(topics, name) ? topics[name] : undefined
