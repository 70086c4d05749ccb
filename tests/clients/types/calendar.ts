// The generated types at work; each line under @ts-expect-error is a mistake that the compiler must find.
import type { CalendarQuery, PostOnCalendarFragment, ScheduleMutationVariables } from "./operations.js";

export function describe(post: PostOnCalendarFragment): string {
  const places = post.targets.map(({ account, status }) => `${account.platform} ${account.handle}: ${status}`);
  // A draft has no time.
  const time = post.scheduledAt ? new Date(post.scheduledAt).toLocaleString() : "no time yet";
  return `${post.caption} (${time}) → ${places.join(", ")}`;
}

/** A root field that failed is null, and says why in `errors`. */
export function captions({ posts }: CalendarQuery): string[] {
  return posts?.nodes.map((post) => post.caption) ?? [];
}

export const wish: ScheduleMutationVariables = {
  input: {
    caption: "Fresh bread at six.",
    accountIds: ["acct_0"],
    scheduledAt: "2030-01-01T06:00:00Z",
    variants: [{ accountId: "acct_0", youtube: { title: "Bread", privacy: "UNLISTED" } }],
  },
};

export function mistakes(answer: CalendarQuery, post: PostOnCalendarFragment): unknown[] {
  return [
    // @ts-expect-error `posts` may be null
    answer.posts.nodes,
    // @ts-expect-error `scheduledAt` may be null
    post.scheduledAt.length,
    // @ts-expect-error there is no such status
    post.status === "GONE",
    // @ts-expect-error `version` was not asked for
    post.version,
    // @ts-expect-error a post needs its accounts
    { input: { caption: "", scheduledAt: "" } } satisfies ScheduleMutationVariables,
  ];
}
