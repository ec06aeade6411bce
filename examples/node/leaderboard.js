// Records an app's live actions, each as the very event that a backfill would make of its document.
//
// It works with the MongoDB driver and with Mongoose, and imports neither: hand it the `Long` of the driver that `db`
// belongs to (`import { Long } from 'mongodb'`, or `mongoose.mongo.Long`), for two copies of BSON do not mix.

const FLAG = { collection: 'feature_flags', id: 'leaderboard', maxAge: 5000 } // milliseconds
const OFF = Object.freeze({ write: false, read: false })
const DUPLICATE = 11000
const EARLIEST = Date.UTC(1900, 0, 1)
const LATEST = Date.UTC(2200, 0, 1) // excluded
const LONGEST_USER = 1024 // characters

export class LeaderboardError extends Error {
  constructor(message, options) {
    super(message, options)
    this.name = new.target.name
  }
}

/** What was asked cannot be an event. A fault of the caller; nothing was written. */
export class InvalidEvent extends LeaderboardError {}

/** The place of this action is taken by something else. Nothing was written, so nothing counts twice. */
export class Conflict extends LeaderboardError {}

/** The database did not take it in time, or not at all. The next backfill adds what is missing, and once. */
export class NotRecorded extends LeaderboardError {}

export class Leaderboard {
  #db
  #Long
  #flag
  #now
  #asked = -Infinity
  #answer = null

  /** `flag` says where the flag is, and for how many milliseconds an answer is kept: five seconds at most. */
  constructor(db, { Long, flag = {}, wait = 1000, now = Date.now } = {}) {
    if (typeof Long?.fromNumber !== 'function') {
      throw new TypeError("give the Long of your driver: new Leaderboard(db, { Long: mongoose.mongo.Long })")
    }
    this.#db = db
    this.#Long = Long
    this.#flag = { ...FLAG, ...flag, maxAge: Math.min(flag.maxAge ?? FLAG.maxAge, FLAG.maxAge) }
    this.#now = now
    this.wait = wait // milliseconds for a majority
    this.flagError = null // why the flag could not be read, the last time
  }

  /** `{ write, read }`: record actions, show the board. A flag that is missing or cannot be read is off; never throws. */
  async flag() {
    if (this.#answer === null || this.#now() - this.#asked >= this.#flag.maxAge) {
      this.#asked = this.#now()
      this.#answer = this.#ask() // shared by all who ask meanwhile
    }
    return this.#answer
  }

  async #ask() {
    try {
      const found = await this.#db.collection(this.#flag.collection).findOne({ _id: this.#flag.id })
      this.flagError = null
      return Object.freeze({ write: found?.write === true, read: found?.read === true })
    } catch (error) {
      this.flagError = error
      return OFF
    }
  }

  /**
   * Records that `user` did `action` with the document `source` (its `_id`), at the time `at` that the document has, for
   * so many `points`. `meta` has what the source's `meta` names.
   *
   * Resolves to 'recorded', 'already' (it counts, and counts once) or 'off'. Rejects with InvalidEvent, Conflict or
   * NotRecorded.
   */
  async record(action, { user, source, at, points, meta = {} }) {
    const event = eventOf(action, { user, source, at, points: whole(points), meta }, this.#Long)
    if (!(await this.flag()).write) return 'off'
    const events = this.#db.collection('score_events')
    try {
      await events.insertOne(event, { writeConcern: { w: 'majority', wtimeoutMS: this.wait } })
      return 'recorded'
    } catch (error) {
      if (!isTaken(error)) throw new NotRecorded(`${event._id} was not recorded: ${error.message}`, { cause: error })
    }
    return this.#same(event, await this.#find(events, event._id))
  }

  async #find(events, id) {
    try {
      return await events.findOne({ _id: id })
    } catch (error) {
      throw new NotRecorded(`whether ${id} is recorded is not known: ${error.message}`, { cause: error })
    }
  }

  #same(event, found) {
    const differs = ['userId', 'sourceId'].filter((name) => !isSame(found?.[name], event[name]))
    if (differs.length > 0) {
      throw new Conflict(`${event._id} is there already, with another ${differs.join(' and ')}; a backfill settles it`)
    }
    return 'already'
  }
}

function eventOf(action, { user, source, at, points, meta }, Long) {
  if (typeof action !== 'string' || action === '') throw new InvalidEvent('the action is no text')
  const person = textOf(user, 'user')
  if (person === '' || person.length > LONGEST_USER) throw new InvalidEvent('the user has no id that can be an id')
  return {
    _id: `${action}:${textOf(source, 'source')}`,
    userId: user,
    actionType: action,
    points: Long.fromNumber(points), // the collection takes nothing but 64-bit integers
    sourceId: source,
    meta: { ...present(meta), origin: 'live' },
    createdAt: moment(at),
  }
}

function whole(points) {
  if (!Number.isSafeInteger(points)) throw new InvalidEvent(`points are a whole number, not ${String(points)}`)
  return points
}

function moment(at) {
  const time = at instanceof Date ? at.getTime() : NaN
  if (!(time >= EARLIEST && time < LATEST)) {
    throw new InvalidEvent(`at is a Date between the years 1900 and 2200, as the document has it, not ${String(at)}`)
  }
  return at
}

function present(meta) {
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) throw new InvalidEvent('meta is no object')
  return Object.fromEntries(Object.entries(meta).filter(([, value]) => value !== undefined))
}

/** An id as the ledger writes it. What it writes in another way, and what is no id, is left to the backfill. */
function textOf(id, what) {
  const kind = id?._bsontype
  if (kind === 'ObjectId' || kind === 'ObjectID') return id.toHexString()
  if (kind === 'Long' || typeof id === 'bigint') return id.toString()
  if (kind === 'UUID' || (kind === 'Binary' && id.sub_type === 4)) return uuid(id)
  const plain = kind === 'Int32' || kind === 'Double' ? id.valueOf() : id
  if (Number.isSafeInteger(plain)) return String(plain === 0 ? 0 : plain)
  if (typeof plain === 'string' && !/^["{]/.test(plain)) return plain
  throw new InvalidEvent(`this ${what} is left to the backfill, or is no id: ${String(id)}`)
}

function uuid(id) {
  return (typeof id.toUUID === 'function' ? id.toUUID() : id).toString().toLowerCase()
}

/** Of the same type in JavaScript, numbers by their value, and of the same text. */
function isSame(one, other) {
  const kind = (id) => (isNumber(id) ? 'number' : (id?._bsontype ?? typeof id))
  try {
    return kind(one) === kind(other) && textOf(one, 'id') === textOf(other, 'id')
  } catch {
    return false
  }
}

function isNumber(id) {
  return ['number', 'bigint'].includes(typeof id) || ['Long', 'Int32', 'Double'].includes(id?._bsontype)
}

/** Whether a document has this very `_id`. Another unique index on the ledger is a fault, and no sign of a repeat. */
function isTaken(error) {
  if (error?.code !== DUPLICATE) return false
  return error.keyPattern ? '_id' in error.keyPattern : /index: _id_/.test(error.message)
}
