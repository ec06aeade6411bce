// An app that records: node walk.mjs URI DATABASE MODULE CALLS. Each call names a task, and what is asked otherwise.
import { createRequire } from 'node:module'

const [uri, database, module, calls] = process.argv.slice(2)
const { MongoClient, Long, BSON } = createRequire(import.meta.url)('mongodb') // NODE_PATH counts
const { Leaderboard } = await import(module)

const client = await MongoClient.connect(uri)
const db = client.db(database)
const leaderboard = new Leaderboard(db, { Long })
const results = []
for (const { task, otherwise = {} } of BSON.EJSON.parse(calls, { relaxed: false })) {
  const found = await db.collection('tasks').findOne({ _id: task })
  const asked = { user: found.userId, source: found._id, at: found.completedAt, points: 10, meta: { priority: found.priority } }
  try {
    results.push(await leaderboard.record('task_complete', { ...asked, ...otherwise }))
  } catch (error) {
    results.push(`${error.name}: ${error.message}`)
  }
}
console.log(JSON.stringify({ results, flag: await leaderboard.flag() }))
await client.close()
