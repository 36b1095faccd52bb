import * as Laws from "../../src/laws/index.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import { refuses } from "./kit.ts"

type Values = Tensor<[number, number]>
type Counts = Tensor<[number]>

interface Parts {
  readonly target?: (codebook: Values, sums: Values, counts: Counts) => Values
  readonly project?: (moved: Values) => Values
  readonly used?: (uses: Counts, counts: Counts) => Counts
}

const meanDirection = (codebook: Values, sums: Values, counts: Counts) =>
  Elementwise.whereRows(Elementwise.isBelow(counts, 0.5), codebook, Normalization.l2Normalize(sums))

const gathered = <M extends number, K extends number, E extends number>(
  codes: Tensor<[M], "int32">,
  vectors: Tensor<[M, E]>,
  size: K
) => ({ counts: Codes.countByCode(codes, size), sums: Codes.sumByCode(vectors, codes, size) })

const built =
  ({ project = Normalization.l2Normalize, target = meanDirection, used }: Parts): Laws.Follow =>
  ({ codebook, uses }, { codes, z }, decay) => {
    const { counts, sums } = gathered(codes, z, codebook.shape[0])
    const aim = target(codebook, sums, counts)
    return {
      codebook: project(Elementwise.add(Elementwise.scale(codebook, decay), Elementwise.scale(aim, 1 - decay))),
      uses: used === undefined
        ? Elementwise.add(Elementwise.scale(uses, decay), Elementwise.scale(counts, 1 - decay))
        : used(uses, counts)
    }
  }

const right = built({})

refuses("a moving average", Laws.movingAverage, right, {
  "keeps every code on the unit sphere": {
    mutant: built({ project: (moved) => moved }),
    said: /number 0 of the length of code 0 is 0\.\d+ but must be about 1/
  },
  "does not move unused codes, for any decay": {
    mutant: built({ target: (_, sums) => Normalization.l2Normalize(sums) }),
    said: /number \d of code \d, which no vector has, is 0 but must be about/
  },
  "turns a used code towards the mean of its vectors by the same share for any number of vectors": {
    mutant: built({
      target: (codebook, sums, counts) => Elementwise.whereRows(Elementwise.isBelow(counts, 0.5), codebook, sums)
    }),
    said: /number \d of code 0 with \d+ vectors is/
  },
  "averages the usage of each code with the same decay": [
    { mutant: built({ used: Elementwise.add }), said: /number 0 of the uses of code 0 is 1 but must be about 0\.5/ },
    {
      mutant: (state, batch, decay) => {
        const mean = Reduction.mean(state.uses)
        return right({ ...state, uses: Elementwise.shiftBy(Elementwise.scale(state.uses, 0), mean) }, batch, decay)
      },
      said: /number 0 of the uses of code \d is \d\S* but must be about \d/
    }
  ],
  "approaches the mean of repeated vectors at the rate of the decay": {
    mutant: (state, batch, decay) => right(state, batch, decay ** 2),
    said: /after \d+ times code \d+ is 0\.\d+ from its target, too near; it began \d\.\d+ from it/
  }
})
