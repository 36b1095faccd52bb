/**
 * The stages, as functions to compose: each takes the value of another one.
 *
 * Each program is exported by its name, with the types of its options and results and with its own errors. Values that programs
 * work on are exported as modules.
 */
import "../RequireNode.ts"
export * as Artifact from "./artifacts/Artifact.ts"
export * as Export from "./artifacts/Export.ts"
export { inspect, InspectError, type Inspection } from "./artifacts/Inspect.ts"
export * as ModelFolder from "./artifacts/ModelFolder.ts"
export * as Atlas from "./atlas/Atlas.ts"
export { atlas, type AtlasOptions, type Built } from "./atlas/BuildAtlas.ts"
export * as CodeScan from "./atlas/CodeScan.ts"
export * as Patches from "./atlas/Patches.ts"
export { type AtlasLinks } from "./atlas/views/AtlasLinks.ts"
export * as AtlasStyle from "./atlas/views/AtlasStyle.ts"
export * as CodeList from "./atlas/views/CodeList.ts"
export * as CodePage from "./atlas/views/CodePage.ts"
export * as ImageCodes from "./atlas/views/ImageCodes.ts"
export * as ImageTiles from "./atlas/views/ImageTiles.ts"
export * as MapPage from "./atlas/views/MapPage.ts"
export { type Cached, cacheFeatures, type CacheOptions, computeFeatures } from "./CacheFeatures.ts"
export { complete, type Completed, type CompleteOptions, type CompletionFigures } from "./completion/Complete.ts"
export * as CompletionView from "./completion/CompletionView.ts"
export * as PatchPlaces from "./completion/PatchPlaces.ts"
export { type DecoderFigures, evaluateDecoder } from "./completion/Reconstruct.ts"
export { demo, type DemoOptions } from "./Demo.ts"
export { type DevicePlan, devicePlan, type DevicePlanOptions } from "./DevicePlan.ts"
export { diagnose, diagnoseOn, type DiagnoseOptions } from "./doctor/Diagnose.ts"
export * as HealthFile from "./doctor/HealthFile.ts"
export * as HealthView from "./doctor/HealthView.ts"
export * as HealthWatch from "./doctor/HealthWatch.ts"
export { NothingToExamine } from "./doctor/RunState.ts"
export * as BlockFeatures from "./evaluate/BlockFeatures.ts"
export { NothingToChooseOn, type ProbeSets } from "./evaluate/ChoiceSplit.ts"
export { classify, evaluateClassifier, examineClassifier, type Examined } from "./evaluate/Classify.ts"
export { encode, type Encoded } from "./evaluate/Encode.ts"
export { encodeShards } from "./evaluate/EncodeShards.ts"
export {
  type EncodedImage,
  evaluatePretraining,
  evaluateTokenizer,
  measureTokenizer,
  type PredictedImage,
  type PretrainEvaluation,
  type TokenizerEvaluation,
  type TokenizerFigures
} from "./evaluate/Evaluate.ts"
export { blockFeatures, type Featured, type FeatureOptions, features, streamFeatures } from "./evaluate/Features.ts"
export type { FeatureSet } from "./evaluate/FeatureSet.ts"
export { compareNeighbours, knn, type KnnFigures } from "./evaluate/Knn.ts"
export { logisticRegression, type Regressed } from "./evaluate/LogisticRegression.ts"
export { predict, type Predicted, type Prediction, type PredictOptions } from "./evaluate/Predict.ts"
export { type PredictedPixels, predictPixels, type Share } from "./evaluate/PredictPixels.ts"
export { probe, type Probed } from "./evaluate/Probe.ts"
export { probeSweep, type SweepOptions, type Swept } from "./evaluate/ProbeSweep.ts"
export {
  changedCodes,
  type ClassifierOptions,
  robustness,
  type RobustnessOptions,
  type Test,
  type Tested
} from "./evaluate/Robustness.ts"
export {
  evaluateSegmenter,
  type Example,
  type LookOptions,
  open as openSegmenter,
  type Segmented
} from "./evaluate/Segmentation.ts"
export * as TestFolders from "./evaluate/TestFolders.ts"
export { finetune } from "./Finetune.ts"
export { type Attended, type Attention, attention, type AttentionOptions } from "./look/Attention.ts"
export * as LookFolder from "./look/LookFolder.ts"
export * as LookPictures from "./look/LookPictures.ts"
export * as LookView from "./look/LookView.ts"
export { type Colours, pca, type PcaFigures, type PcaOptions } from "./look/Pca.ts"
export { type Plan, plan, type PlanOptions } from "./Plan.ts"
export { pretrain, type PretrainOptions } from "./Pretrain.ts"
export * as Replay from "./Replay.ts"
export * as CodeRows from "./report/CodeRows.ts"
export * as ReportPage from "./report/ReportPage.ts"
export * as RobustnessPage from "./report/RobustnessPage.ts"
export * as SegmentationPage from "./report/SegmentationPage.ts"
export { best, type BestOptions, type Ranked } from "./runs/Best.ts"
export * as Comparison from "./runs/Comparison.ts"
export * as Follow from "./runs/Follow.ts"
export * as Registry from "./runs/Registry.ts"
export * as RunCurves from "./runs/RunCurves.ts"
export * as Sample from "./runs/Sample.ts"
export * as SampleView from "./runs/SampleView.ts"
export { segment, type SegmentStart } from "./Segment.ts"
export { segmentFrozen } from "./SegmentFrozen.ts"
export * as SelfDistillation from "./SelfDistillation.ts"
export { study, type StudyOptions, type StudyTeacher } from "./study/Study.ts"
export { StudyPlan, studyPlan } from "./study/StudyPlan.ts"
export * as TokenizeFiles from "./tokenize/TokenizeFiles.ts"
export * as TokenizeView from "./tokenize/TokenizeView.ts"
export { trainDecoder } from "./TrainDecoder.ts"
export * as Backbone from "./trained/Backbone.ts"
export * as Classifier from "./trained/Classifier.ts"
export * as CodeVectors from "./trained/CodeVectors.ts"
export * as Decoder from "./trained/Decoder.ts"
export * as Network from "./trained/Network.ts"
export * as Segmenter from "./trained/Segmenter.ts"
export * as Tokenizer from "./trained/Tokenizer.ts"
export * as AnnotatedBatches from "./training/AnnotatedBatches.ts"
export * as Batches from "./training/Batches.ts"
export * as Continuation from "./training/Continuation.ts"
export * as EvaluationMetrics from "./training/EvaluationMetrics.ts"
export { MaskError } from "./training/Masking.ts"
export * as OtherEncoder from "./training/OtherEncoder.ts"
export { OutputError } from "./training/Outputs.ts"
export * as RankShare from "./training/RankShare.ts"
export * as SampleBatch from "./training/SampleBatch.ts"
export * as Stage from "./training/Stage.ts"
export type { Bare, Start } from "./training/Start.ts"
export { TrainingError } from "./training/Training.ts"
export * as TrainingMetrics from "./training/TrainingMetrics.ts"
export { type TokenizerOptions, trainTokenizer } from "./TrainTokenizer.ts"
