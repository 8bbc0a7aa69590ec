// The part of the gateway's schema that the hot document needs, with resolvers as one writes them for Node, and the same
// gRPC backend through @grpc/grpc-js: node apollo.mjs|mercurius.mjs <feed port> <story port> <folder of protos>.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [feedPort, storyPort, protos] = process.argv.slice(2);

const load = (file) =>
  grpc.loadPackageDefinition(
    loader.loadSync(file, { includeDirs: [protos], keepCase: false, longs: String, enums: Number, defaults: true }),
  ).heliograph;

const credentials = grpc.credentials.createInsecure();
const { FeedService } = load("heliograph/feed/v1/feed_service.proto").feed.v1;
const { StoryService } = load("heliograph/story/v1/story_service.proto").story.v1;
const feedService = new FeedService(`127.0.0.1:${feedPort}`, credentials);
const storyService = new StoryService(`127.0.0.1:${storyPort}`, credentials);

const call = (stub, method, request) =>
  new Promise((resolve, reject) => {
    stub[method](request, { deadline: Date.now() + 2000 }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });

export const typeDefs = `
  scalar DateTime
  type Query { home: Home! }
  type Home { feed(first: Int = 20): FeedConnection, storyTray(first: Int = 50): [StoryReel!] }
  type FeedConnection { edges: [PostEdge!]!, pageInfo: PageInfo! }
  type PageInfo { hasNextPage: Boolean!, endCursor: String }
  type PostEdge { node: Post! }
  type Post {
    id: ID!, author: User!, photoUrl(width: Int): String!, blurhash: String, caption: String!, createdAt: DateTime!
    likeCount: Int!, viewerHasLiked: Boolean!
  }
  type User { id: ID!, username: String!, avatarUrl: String }
  type StoryReel { author: User!, hasUnseen: Boolean! }
`;

const WEBP = 1;
const opaque = (kind, key) => Buffer.from(`${kind}:${key}`).toString("base64url");
const moment = (time) => new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString();

const photoUrl = (photo, width, square) => {
  let chosen = null;
  for (const variant of photo?.variants ?? []) {
    if (variant.format !== WEBP || variant.isSquare !== square || !variant.url) continue;
    if (chosen === null || variant.width >= width) chosen = variant;
  }
  return chosen && photo.baseUrl + chosen.url;
};

export const resolvers = {
  Query: { home: () => ({}) },
  Home: {
    feed: async (_, { first }) => {
      const reply = await call(feedService, "GetHomeFeed", { pageSize: first });
      return {
        edges: reply.items.map((item) => ({ node: item })),
        pageInfo: { hasNextPage: reply.nextPageToken !== "", endCursor: reply.nextPageToken || null },
      };
    },
    storyTray: async (_, { first }) => (await call(storyService, "GetStoryTray", { pageSize: first })).reels,
  },
  Post: {
    id: (item) => opaque("Post", item.post.postId),
    author: (item) => item.post.author,
    photoUrl: (item, { width }) => photoUrl(item.post.photo, width ?? 1080, false) ?? "",
    blurhash: (item) => item.post.photo.blurhash || null,
    caption: (item) => item.post.caption,
    createdAt: (item) => moment(item.post.createTime),
    likeCount: (item) => Number(item.likeCount),
  },
  User: {
    id: (user) => opaque("User", user.userId),
    avatarUrl: (user) => photoUrl(user.avatar, 150, true),
  },
};
