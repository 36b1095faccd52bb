/** A worker thread that computes an effective rank. */
import * as EffectiveRank from "../../domain/method/EffectiveRank.ts"
import * as ThreadAnswer from "../../layers/machine/ThreadAnswer.ts"

ThreadAnswer.give(EffectiveRank.of)
