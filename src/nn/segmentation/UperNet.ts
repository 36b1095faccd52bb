/**
 * UperNet, the published head for ADE20K: a pyramid of maps, pooling of the coarsest map, fusion of all maps, and an auxiliary
 * FCN head (`uper_head.py`, `psp_head.py`, `fcn_head.py` of mmsegmentation).
 *
 * Its first pooled map has one pixel for each image. So a training step needs at least two images.
 *
 * ```ts
 * import assert from "node:assert"
 * import { UperNet } from "patchword/nn"
 *
 * const head = UperNet.make({ width: 768, classes: 150, channels: 768, auxiliaryChannels: 256, patch: 16 })
 * const { decode_head, auxiliary_head } = head.parameters
 * assert.deepStrictEqual(decode_head.bottleneck.conv.weight.shape, [768, 3840, 3, 3])
 * assert.deepStrictEqual(auxiliary_head.conv_seg.weight.shape, [150, 256, 1, 1])
 * ```
 */
import * as Dim from "../../shapes/Dim.ts"
import { add } from "../../shapes/Elementwise.ts"
import type { Running } from "../../shapes/maps/BatchNorm.ts"
import * as FeatureMap from "../../shapes/maps/FeatureMap.ts"
import type { NormParams } from "../../shapes/Normalization.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { Any, Tensor } from "../../shapes/Tensor.ts"
import type { PatchParams } from "../../shapes/Tokens.ts"
import * as BlockParams from "../blocks/BlockParams.ts"
import * as Parameter from "../blocks/Parameter.ts"
import * as ConvModule from "./ConvModule.ts"
import * as FcnHead from "./FcnHead.ts"
import type * as Head from "./Head.ts"
import { classifier } from "./LinearHead.ts"
import * as Norms from "./Norms.ts"
import * as SegmentationBackbone from "./SegmentationBackbone.ts"

/** The numbers of bins along each side of the pooled maps. */
export const BINS = [1, 2, 3, 6] as const

/** The sizes of the head: channels of its input (`D`) and inside (`C`, `A` in the auxiliary head), and the classes `K`. */
export interface Sizes<D extends number, C extends number, A extends number, K extends number> {
  readonly width: D
  readonly channels: C
  readonly auxiliaryChannels: A
  readonly classes: K
}

/** The channels of the coarsest map and of the four pooled ones. */
type Pooled<D extends number, C extends number> = Dim.Plus<D, Dim.Mul<4, C>>

/** The parameters of the decode head, under the official names. */
export interface DecodeHead<D extends number, C extends number, K extends number> {
  /** Each module is the second of a sequence. The first is the pooling, which has no parameters. */
  readonly psp_modules: ReadonlyArray<{ readonly 1: ConvModule.Params<D, C, 1> }>
  readonly bottleneck: ConvModule.Params<Pooled<D, C>, C, 3>
  readonly lateral_convs: ReadonlyArray<ConvModule.Params<D, C, 1>>
  readonly fpn_convs: ReadonlyArray<ConvModule.Params<C, C, 3>>
  readonly fpn_bottleneck: ConvModule.Params<Dim.Mul<4, C>, C, 3>
  readonly conv_seg: PatchParams<C, 1, K>
}

/** The running statistics of the decode head. */
export interface DecodeStatistics<C extends number> {
  readonly psp_modules: ReadonlyArray<{ readonly 1: ConvModule.Statistics<C> }>
  readonly bottleneck: ConvModule.Statistics<C>
  readonly lateral_convs: ReadonlyArray<ConvModule.Statistics<C>>
  readonly fpn_convs: ReadonlyArray<ConvModule.Statistics<C>>
  readonly fpn_bottleneck: ConvModule.Statistics<C>
}

/** The parameters of the backbone's pyramid. Only 16-pixel patches have the optional ones. */
export interface Pyramid<D extends number> {
  readonly fpn1: {
    readonly 0: SegmentationBackbone.Double<D>
    readonly 1?: NormParams<D>
    readonly 3?: SegmentationBackbone.Double<D>
  }
  readonly fpn2?: { readonly 0: SegmentationBackbone.Double<D> }
}

/** The parameters and statistics of both heads on given maps. */
export interface Heads<D extends number, C extends number, A extends number, K extends number> extends Head.Parts {
  readonly parameters: {
    readonly decode_head: DecodeHead<D, C, K>
    readonly auxiliary_head: FcnHead.Params<D, A, K>
  }
  readonly running: {
    readonly decode_head: DecodeStatistics<C>
    readonly auxiliary_head: FcnHead.Statistics<A>
  }
  readonly dropout: {
    readonly decode_head: Tensor<[number, C]>
    readonly auxiliary_head: Tensor<[number, A]>
  }
}

/** The tensors of the head. */
export interface Parts<D extends number, C extends number, A extends number, K extends number>
  extends Heads<D, C, A, K>
{
  readonly parameters: Heads<D, C, A, K>["parameters"] & { readonly backbone: Pyramid<D> }
  readonly running: Heads<D, C, A, K>["running"] & {
    readonly backbone?: { readonly fpn1: { readonly 1: Running<D> } }
  }
}

/** Specifies the parameters of both heads. */
export const spec = <D extends number, C extends number, A extends number, K extends number>(
  sizes: Sizes<D, C, A, K>
): Parameter.ParametersOf<Heads<D, C, A, K>["parameters"]> => {
  const { auxiliaryChannels, channels, classes, width } = sizes
  const each = <T>(count: number, make: () => T) => Array.from({ length: count }, make)
  return {
    decode_head: {
      psp_modules: each(BINS.length, () => ({ 1: ConvModule.spec(width, channels, 1) })),
      bottleneck: ConvModule.spec(Dim.plus(width, Dim.mul(4, channels)), channels, 3),
      lateral_convs: each(3, () => ConvModule.spec(width, channels, 1)),
      fpn_convs: each(3, () => ConvModule.spec(channels, channels, 3)),
      fpn_bottleneck: ConvModule.spec(Dim.mul(4, channels), channels, 3),
      conv_seg: classifier(channels, classes)
    },
    auxiliary_head: FcnHead.spec({ width, channels: auxiliaryChannels, classes })
  }
}

/** Specifies the running statistics of both heads. */
export const running = <C extends number, A extends number>(
  channels: C,
  auxiliaryChannels: A
): Parameter.ParametersOf<Heads<number, C, A, number>["running"]> => {
  const one = ConvModule.running(channels)
  return {
    decode_head: {
      psp_modules: BINS.map(() => ({ 1: one })),
      bottleneck: one,
      lateral_convs: [one, one, one],
      fpn_convs: [one, one, one],
      fpn_bottleneck: one
    },
    auxiliary_head: FcnHead.running(auxiliaryChannels)
  }
}

/** The maps of a pyramid, from the finest to the coarsest. */
export type Maps<B extends number, D extends number> = Head.Maps<B, D>

const sized = <B extends number, C extends number, D extends number>(
  x: FeatureMap.Pixels<B, C>,
  like: FeatureMap.Pixels<B, D>
): FeatureMap.Pixels<B, C> =>
  FeatureMap.anySides(
    FeatureMap.resize(x, Dim.named("height", like.shape[1]), Dim.named("width", like.shape[2]))
  )

/** Computes the logits of the decode head at the sides of the finest map. `factors` are those of dropped channels. */
export const decode = <B extends number, D extends number, C extends number, K extends number>(
  params: DecodeHead<D, C, K>,
  statistics: DecodeStatistics<NoInfer<C>>,
  maps: Maps<B, NoInfer<D>>,
  context: { readonly norms: Norms.Norms; readonly factors?: Tensor<[NoInfer<B>, NoInfer<C>]> | undefined }
): FeatureMap.Pixels<B, K> => {
  const { factors, norms } = context
  const [f1, f2, f3, f4] = maps
  const channels = params.conv_seg.weight.shape[1]
  const pooled = params.psp_modules.map((psp, place) => {
    const bins = Dim.named("bins", BINS[place]!)
    const means = FeatureMap.anySides(FeatureMap.adaptiveAveragePool(f4, bins, bins))
    return sized(ConvModule.forward(psp[1], statistics.psp_modules[place]![1], means, norms), f4)
  })
  const context4 = FeatureMap.join(f4, pooled, Dim.plus(f4.shape[3], Dim.mul(4, channels)))
  const coarsest = ConvModule.forward(params.bottleneck, statistics.bottleneck, context4, norms)

  const lateral = (place: 0 | 1 | 2, map: FeatureMap.Pixels<B, D>) =>
    ConvModule.forward(params.lateral_convs[place]!, statistics.lateral_convs[place]!, map, norms)
  const below = (map: FeatureMap.Pixels<B, C>, coarser: FeatureMap.Pixels<B, C>) => add(map, sized(coarser, map))
  const third = below(lateral(2, f3), coarsest)
  const second = below(lateral(1, f2), third)
  const first = below(lateral(0, f1), second)

  const smoothed = [first, second, third].map((map, place) =>
    ConvModule.forward(params.fpn_convs[place]!, statistics.fpn_convs[place]!, map, norms)
  )
  const [finest, ...others] = [...smoothed, coarsest]
  const joined = FeatureMap.join(finest!, others.map((map) => sized(map, finest!)), Dim.mul(4, channels))
  const fused = ConvModule.forward(params.fpn_bottleneck, statistics.fpn_bottleneck, joined, norms)
  return FcnHead.classify(params.conv_seg, fused, factors)
}

/** Computes the logits of both heads from the maps of a pyramid. The auxiliary head sees the third map. */
export const onMaps = <B extends number, D extends number, C extends number, A extends number, K extends number>(
  params: Heads<D, C, A, K>["parameters"],
  maps: Maps<B, D>,
  context: Head.Context<Heads<D, C, A, K>>
): Head.Logits<B, K> => {
  const { dropout, norms, running } = context
  const { auxiliary_head, decode_head } = params
  // A step gives as many factors as it has images, which the type of a head cannot say.
  const factors = dropout as {
    readonly decode_head: Tensor<[B, C]>
    readonly auxiliary_head: Tensor<[B, A]>
  } | undefined
  return {
    main: decode(decode_head, running.decode_head, maps, { norms, factors: factors?.decode_head }),
    auxiliary: FcnHead.forward(auxiliary_head, running.auxiliary_head, maps[2], {
      norms,
      factors: factors?.auxiliary_head
    })
  }
}

/** PyTorch's default for a transposed convolution: uniform within ±`1/√(O·4)`. */
const double = <D extends number>(width: D): Parameter.ParametersOf<SegmentationBackbone.Double<D>> => ({
  weight: Parameter.byFanIn([width, width, 2, 2], 4 * width),
  bias: Parameter.byFanIn([width], 4 * width)
})

const pyramid = <D extends number>(width: D, patch: number): Parameter.ParametersOf<Pyramid<D>> =>
  patch === 16
    ? {
      fpn1: { 0: double(width), 1: BlockParams.norm(width), 3: double(width) },
      fpn2: { 0: double(width) }
    }
    : { fpn1: { 0: double(width) } }

/** Computes the pyramid of maps from those of four blocks. */
const pyramidOf = <B extends number, D extends number>(
  params: Pyramid<D>,
  statistics: Running<NoInfer<D>> | undefined,
  maps: Head.Maps<B, D>,
  norms: Norms.Norms
): Maps<B, D> => {
  const [t1, t2, t3, t4] = maps.map(FeatureMap.channelsFirst)
  const taps = [t1!, t2!, t3!, t4!] as const
  const { 0: first, 1: affine, 3: last } = params.fpn1
  const { f1, f2, f3, f4 } = params.fpn2 === undefined || affine === undefined || last === undefined
    ? SegmentationBackbone.pyramid8({ fpn1: { 0: first } }, taps)
    : SegmentationBackbone.pyramid16By(
      { fpn1: { 0: first, 3: last }, fpn2: params.fpn2 },
      taps,
      (half) => FeatureMap.channelsFirst(norms.normalise(FeatureMap.channelsLast(half), affine, statistics!))
    )
  const back = (map: Any): FeatureMap.Pixels<B, D> => FeatureMap.anySides(FeatureMap.channelsLast(map))
  return [back(f1), back(f2), back(f3), back(f4)]
}

/**
 * Makes the head.
 *
 * @throws ShapeError when patches have neither 16 nor 8 pixels. No pyramid is published for others.
 */
export const make = <D extends number, C extends number, A extends number, K extends number>(
  sizes: Sizes<D, C, A, K> & { readonly patch: number }
): Head.Head<D, K, Parts<D, C, A, K>> => {
  const { auxiliaryChannels, channels, classes, patch, width } = sizes
  if (patch !== 16 && patch !== 8) {
    throw new ShapeError.ShapeError(`UperNet: patches have ${patch} pixels but there are pyramids for 16 and 8 only`)
  }
  return {
    name: "upernet",
    classes,
    parameters: { backbone: pyramid(width, patch), ...spec(sizes) },
    running: {
      ...(patch === 16 ? { backbone: { fpn1: { 1: Norms.runningSpec(width) } } } : {}),
      ...running(channels, auxiliaryChannels)
    },
    dropout: (batch) => ({
      decode_head: { shape: [batch, channels], dtype: "float32", split: "rows" },
      auxiliary_head: { shape: [batch, auxiliaryChannels], dtype: "float32", split: "rows" }
    }),
    forward: (params, maps, context) => {
      const { norms, running } = context
      const levels = pyramidOf(params.backbone, running.backbone?.fpn1[1], maps, norms)
      return onMaps(params, levels, context)
    }
  }
}
