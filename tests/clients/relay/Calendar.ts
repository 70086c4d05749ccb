// A calendar as a Relay front end declares it: a page that grows, a post that refetches itself by `node`, a change that
// keeps the list right, and a subscription. `npx relay-compiler` in this folder writes __generated__.
import { graphql } from "relay-runtime";

export const query = graphql`
  query CalendarQuery($statuses: [PostStatus!]) {
    ...Calendar_posts @arguments(statuses: $statuses)
  }
`;

export const page = graphql`
  fragment Calendar_posts on Query
  @argumentDefinitions(
    first: { type: "Int", defaultValue: 20 }
    after: { type: "String" }
    statuses: { type: "[PostStatus!]" }
  )
  @refetchable(queryName: "CalendarPageQuery") {
    posts(first: $first, after: $after, filter: { statuses: $statuses }) @connection(key: "Calendar_posts") {
      edges {
        node {
          id
          ...Calendar_post
        }
      }
    }
  }
`;

export const post = graphql`
  fragment Calendar_post on Post @refetchable(queryName: "CalendarPostQuery") {
    caption
    status
    scheduledAt
    targets {
      ...Calendar_target
    }
  }
`;

export const target = graphql`
  fragment Calendar_target on PostTarget
  @argumentDefinitions(first: { type: "Int", defaultValue: 3 }, after: { type: "String" })
  @refetchable(queryName: "CalendarTargetQuery") {
    status
    account {
      platform
      handle
    }
    attempts(first: $first, after: $after) @connection(key: "Calendar_attempts") {
      edges {
        node {
          outcome
        }
      }
    }
  }
`;

export const schedule = graphql`
  mutation CalendarScheduleMutation($input: SchedulePostInput!, $connections: [ID!]!) {
    schedulePost(input: $input) {
      post @prependNode(connections: $connections, edgeTypeName: "PostEdge") {
        ...Calendar_post
      }
      userErrors {
        code
        message
        field
      }
    }
  }
`;

export const forget = graphql`
  mutation CalendarDeleteMutation($input: DeletePostInput!, $connections: [ID!]!) {
    deletePost(input: $input) {
      deletedPostId @deleteEdge(connections: $connections) @deleteRecord
      userErrors {
        message
      }
    }
  }
`;

export const changes = graphql`
  subscription CalendarSubscription {
    postsChanged {
      ...Calendar_post
    }
  }
`;
